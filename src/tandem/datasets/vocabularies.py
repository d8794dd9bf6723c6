"""The vocabularies of a feature spec as a folder of Parquet folders, one each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.sources.staging import staged_folder
from tandem.storage.locations import LITERALLY, RemotePath, location, spark_address

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
            filepath: the folder, or its address (see :class:`tandem.datasets.ParquetFolderDataset`).
            names: of the vocabularies.
            made_by: what to run when the folder is missing, for the error's text.
            metadata: for kedro-viz.
        """
        self._filepath = location(filepath)
        self._names = list(names)
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> dict[str, DataFrame]:
        """Each vocabulary as a Spark DataFrame.

        Raises:
            DatasetUserError: a folder does not exist, or its storage refuses it.
        """
        from tandem.datasets.spark_session import spark_session

        if isinstance(self._filepath, RemotePath):
            with user_errors():
                return self._load_remote(self._filepath)
        folders = {name: self._filepath.absolute() / f"{name}.parquet" for name in self._names}
        for folder in folders.values():
            if not folder.is_dir():
                raise DatasetUserError(self._missing(folder))
        reader = spark_session().read.options(**LITERALLY).schema(SCHEMA)
        return {name: reader.parquet(spark_address(folder)) for name, folder in folders.items()}

    def save(self, data: DataFrame) -> None:
        """Write all vocabularies beside the folder, look whether all rows are there, and swap them in.

        Raises:
            DatasetUserError: the place cannot be written, or not all rows are there afterwards.
        """
        from tandem.datasets.spark_writes import check_written, write_parquet

        if isinstance(self._filepath, RemotePath):
            with user_errors():
                self._save_remote(data, self._filepath)
            return
        target = self._filepath.absolute()
        with user_errors(), staged_folder(target) as staging:
            rows = write_parquet(data, staging, by=NAME)
            self._rename(staging)
            check_written(target, staging.glob("*.parquet/*.parquet"), rows)

    def _missing(self, folder: Path | RemotePath) -> str:
        return f"{folder} does not exist; make it first: {self._made_by or 'run the whole pipeline'}"

    def _load_remote(self, folder: RemotePath) -> dict[str, DataFrame]:
        from tandem.datasets.remote_tables import read_remote
        from tandem.datasets.spark_session import spark_session
        from tandem.storage.tables import table_files

        files = table_files(folder)
        if files is None:
            raise UserError(self._missing(folder))
        of_name = {name: [file for file in files if f"/{NAME}={name}/" in str(file)] for name in self._names}
        empty = spark_session().createDataFrame([], SCHEMA)
        return {name: read_remote(some, SCHEMA) if some else empty for name, some in of_name.items()}

    def _save_remote(self, data: DataFrame, folder: RemotePath) -> None:
        from tandem.datasets.spark_writes import check_written, write_parquet
        from tandem.storage.tables import new_files, staged_table

        with staged_table(folder) as staging:
            rows = write_parquet(data, staging, by=NAME)
            check_written(folder, new_files(staging), rows)

    def _rename(self, staging: Path) -> None:
        """Spark's names carry a random number; these are the same every time, in the same order."""
        from tandem.storage.parquet_footer import sort_encodings

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
                sort_encodings(part)
                part.rename(folder / f"part-{number:05d}.parquet")

    def _exists(self) -> bool:
        if isinstance(self._filepath, Path):
            return self._filepath.is_dir()
        from tandem.storage.tables import table_files

        return table_files(self._filepath) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "names": self._names}
