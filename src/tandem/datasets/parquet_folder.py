"""Parquet folders that are swapped in whole, and read by Spark, by Arrow or by path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.sources.staging import staged_folder
from tandem.storage.locations import LITERALLY, RemotePath, location, spark_address

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

LoadAs = Literal["spark", "arrow", "path"]
Compression = Literal["snappy", "zstd", "gzip", "none"]

_PREVIEW_ROWS = 10


class ParquetFolderDataset(AbstractDataset["DataFrame | pa.Table", "DataFrame | pa.Table | Path | RemotePath"]):
    """A folder of Parquet files, saved from a Spark DataFrame or a pyarrow Table.

    The files are written beside the folder, which is then swapped in: a write that fails or is interrupted leaves the
    old folder as it was. (Spark's own overwrite deletes it first.) There are as many files as the DataFrame has
    partitions, or one for a Table. Transcoded entries (``rows@spark``, ``rows@path``, ``rows@arrow``) share one folder.

    The folder may be an address, ``s3://bucket/folder`` or ``hdfs://host:port/folder``; no folder can be swapped in
    there, and :mod:`tandem.storage.tables` says what takes its place.

    Example::

        train@spark:
          type: tandem.datasets.ParquetFolderDataset
          filepath: data/05_model_input/ncf/train.parquet
        train@path:
          type: tandem.datasets.ParquetFolderDataset
          filepath: data/05_model_input/ncf/train.parquet
          load_as: path
    """

    def __init__(
        self,
        filepath: str,
        load_as: LoadAs = "spark",
        compression: Compression = "snappy",
        made_by: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the folder; nothing is read or started.

        Args:
            filepath: the folder, or its address.
            load_as: what ``load`` returns: a Spark DataFrame, a pyarrow Table, or the absolute path (or address).
            compression: of the column chunks.
            made_by: what to run when the folder is missing, for the error's text.
            metadata: for kedro-viz.
        """
        _check_choice("load_as", load_as, get_args(LoadAs))
        _check_choice("compression", compression, get_args(Compression))
        self._filepath = location(filepath)
        self._load_as = load_as
        self._compression = compression
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> DataFrame | pa.Table | Path | RemotePath:
        """The rows as a Spark DataFrame or a pyarrow Table, or the absolute path of the folder.

        Raises:
            DatasetUserError: the folder does not exist, or its storage refuses it.
        """
        if isinstance(self._filepath, RemotePath):
            with user_errors():
                return self._load_remote(self._filepath)
        path = self._filepath.absolute()
        if not path.is_dir():
            raise DatasetUserError(self._missing(path))
        if self._load_as == "path":
            return path
        if self._load_as == "arrow":
            import pyarrow.parquet as pq

            return pq.read_table(path)
        return self._read_spark(path)

    def _missing(self, path: Path | RemotePath) -> str:
        return f"{path} does not exist; make it first: {self._made_by or 'run the whole pipeline'}"

    def _load_remote(self, folder: RemotePath) -> DataFrame | pa.Table | RemotePath:
        from tandem.storage.parquet import read_table
        from tandem.storage.tables import table_files

        files = table_files(folder)
        if not files:
            raise UserError(self._missing(folder))
        if self._load_as == "path":
            return folder
        if self._load_as == "arrow":
            return read_table(folder)
        from tandem.datasets.remote_tables import read_remote

        return read_remote(files)

    def _read_spark(self, path: Path) -> DataFrame:
        from tandem.datasets.spark_session import spark_session

        reader, schema = spark_session().read.options(**LITERALLY), _spark_schema(path)
        return (reader.schema(schema) if schema else reader).parquet(spark_address(path))

    def save(self, data: DataFrame | pa.Table) -> None:
        """Write the rows beside the folder, look whether all are there, and swap them in.

        Raises:
            DatasetUserError: the place cannot be written, or not all rows are there afterwards.
        """
        import pyarrow as pa

        from tandem.datasets.spark_writes import check_written

        if isinstance(self._filepath, RemotePath):
            with user_errors():
                self._save_remote(data, self._filepath)
            return
        target = self._filepath.absolute()
        with user_errors(), staged_folder(target) as staging:
            rows = self._write_table(data, staging) if isinstance(data, pa.Table) else self._write_spark(data, staging)
            check_written(target, staging.glob("*.parquet"), rows)

    def _save_remote(self, data: DataFrame | pa.Table, folder: RemotePath) -> None:
        import pyarrow as pa

        from tandem.datasets.spark_writes import check_written, write_parquet
        from tandem.storage.parquet import write_table
        from tandem.storage.tables import new_files, staged_table

        with staged_table(folder) as staging:
            if isinstance(data, pa.Table):
                write_table(data, staging / "part-00000.parquet", compression=self._compression)
                rows = data.num_rows
            else:
                rows = write_parquet(data, staging, compression=self._compression)
            check_written(folder, new_files(staging), rows)

    def _write_table(self, data: pa.Table, folder: Path) -> int:
        import pyarrow.parquet as pq

        pq.write_table(data, folder / "part-00000.parquet", compression=self._compression)
        return int(data.num_rows)

    def _write_spark(self, data: DataFrame, folder: Path) -> int | None:
        from tandem.datasets.spark_writes import write_parquet
        from tandem.storage.parquet_footer import sort_encodings

        rows = write_parquet(data, folder, compression=self._compression)
        for checksum in folder.rglob(".*.crc"):
            checksum.unlink()
        # Spark's names carry a random number; these are the same every time, in the same order.
        for part in sorted(folder.glob("part-*.parquet")):
            sort_encodings(part)
            part.rename(folder / f"{'-'.join(part.name.split('-')[:2])}.parquet")
        return rows

    def preview(self) -> TablePreview:
        """The first rows, for kedro-viz: one batch of one file, and no Spark; none of a remote table."""
        import pyarrow.parquet as pq

        files = sorted(self._filepath.glob("*.parquet")) if isinstance(self._filepath, Path) else []
        batches = pq.ParquetFile(files[0]).iter_batches(batch_size=_PREVIEW_ROWS) if files else iter(())
        rows = next(batches, None)
        columns = rows.to_pydict() if rows is not None else {}
        data = [list(row) for row in zip(*columns.values(), strict=True)]
        return TablePreview({"index": list(range(len(data))), "columns": list(columns), "data": data})

    def _exists(self) -> bool:
        if isinstance(self._filepath, Path):
            return self._filepath.is_dir()
        from tandem.storage.tables import table_files

        return table_files(self._filepath) is not None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "load_as": self._load_as, "compression": self._compression}


def _spark_schema(folder: Path) -> StructType | None:
    """The schema that Spark left in the files' footers; None where something else wrote them.

    To infer it, Spark would start a job for every table that is read.
    """
    import pyarrow.parquet as pq

    from tandem.datasets.remote_tables import schema_written_by_spark

    first = next(iter(sorted(folder.glob("*.parquet"))), None)
    return schema_written_by_spark(pq.read_metadata(first)) if first else None


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{name}: {value} is not known; choose one of {', '.join(choices)}")
