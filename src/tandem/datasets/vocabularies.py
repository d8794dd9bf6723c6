"""The vocabularies of a feature spec as a folder of Parquet folders, one each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.sources.staging import staged_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NAME = "name"
SCHEMA = "value string, id int, count long"


class VocabulariesDataset(AbstractDataset["DataFrame", "dict[str, DataFrame]"]):
    """Vocabularies with ``value``, ``id`` and ``count``, each in ``<folder>/<name>.parquet``.

    Saved from one frame that has the column ``name`` beside these, in one job; loaded as name -> frame. The folder is
    swapped in as a whole, so that its vocabularies always belong together. A name that ``names`` gives and no row has
    is an empty folder, which is an empty vocabulary.
    """

    def __init__(
        self,
        filepath: str,
        names: list[str],
        made_by: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the folder; nothing is read or started.

        Args:
            filepath: the folder.
            names: of the vocabularies.
            made_by: what to run when the folder is missing, for the error's text.
            metadata: for kedro-viz.
        """
        self._filepath = Path(filepath)
        self._names = list(names)
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> dict[str, DataFrame]:
        """Each vocabulary as a Spark DataFrame.

        Raises:
            DatasetUserError: a folder does not exist.
        """
        from tandem.datasets.spark_session import spark_session

        folders = {name: self._filepath.absolute() / f"{name}.parquet" for name in self._names}
        for folder in folders.values():
            if not folder.is_dir():
                hint = self._made_by or "run the whole pipeline"
                raise DatasetUserError(f"{folder} does not exist; make it first: {hint}")
        return {name: spark_session().read.schema(SCHEMA).parquet(str(folder)) for name, folder in folders.items()}

    def save(self, data: DataFrame) -> None:
        """Write all vocabularies beside the folder and swap them in.

        Raises:
            DatasetUserError: the place cannot be written.
        """
        from tandem.datasets.spark_session import stopped_by_interrupt

        with user_errors(), staged_folder(self._filepath.absolute()) as staging:
            writer = data.write.mode("append").partitionBy(NAME)
            with stopped_by_interrupt(data.sparkSession):
                writer.option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false").parquet(str(staging))
            self._rename(staging)

    def _rename(self, staging: Path) -> None:
        """Spark's names carry a random number; these are the same every time, in the same order."""
        for checksum in staging.rglob(".*.crc"):
            checksum.unlink()
        for name in self._names:
            folder = staging / f"{name}.parquet"
            written = staging / f"{NAME}={name}"
            if written.is_dir():
                written.rename(folder)
            else:
                folder.mkdir()
            for number, part in enumerate(sorted(folder.glob("part-*.parquet"))):
                part.rename(folder / f"part-{number:05d}.parquet")

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "names": self._names}
