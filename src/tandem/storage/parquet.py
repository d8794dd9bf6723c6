"""Parquet wherever it is, for those who read it without Spark."""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.errors import UserError
from tandem.storage.filesystems import arrow_path, explaining, filesystem, is_file
from tandem.storage.locations import Places, RemotePath
from tandem.storage.tables import SUFFIX, table_files

KEPT_FOOTERS = 256


def parquet_files(place: Places) -> list[Path | RemotePath]:
    """The Parquet files of a data set (a file or a folder, or several one after the other), in a fixed order.

    Raises:
        UserError: there is none.
    """
    if isinstance(place, tuple):
        return [file for one in place for file in parquet_files(one)]
    if isinstance(place, Path):
        files = sorted(place.glob(f"*{SUFFIX}")) if place.is_dir() else [place]
        if not files or not files[0].is_file():
            raise UserError(f"{place} holds no Parquet file: run the data_processing pipeline first")
        return [*files]
    remote = table_files(place) or ([place] if is_file(place) else [])
    if not remote:
        raise UserError(f"{place} holds no Parquet file: run the data_processing pipeline first")
    return [*remote]


def read_footer(file: Path | RemotePath) -> pq.FileMetaData:
    """The metadata of a Parquet file."""
    return pq.read_metadata(file) if isinstance(file, Path) else _remote_footer(file)


@lru_cache(maxsize=KEPT_FOOTERS)
def _remote_footer(file: RemotePath) -> pq.FileMetaData:
    """Kept, as it costs a request or two, and a file of a table never changes: each version has new ones."""
    with explaining(file):
        return pq.read_metadata(arrow_path(file), filesystem=filesystem(file))


def open_parquet(file: Path | RemotePath, **options: Any) -> pq.ParquetFile:
    """A Parquet file to read row groups of; options: those of ``pyarrow.parquet.ParquetFile``."""
    if isinstance(file, Path):
        return pq.ParquetFile(file, **options)
    metadata = options.pop("metadata", None) or _remote_footer(file)
    with explaining(file):
        return pq.ParquetFile(arrow_path(file), filesystem=filesystem(file), metadata=metadata, **options)


def open_intact(file: Path | RemotePath) -> pq.ParquetFile:
    """A Parquet file of the user's, to look at.

    Raises:
        UserError: it is broken or encrypted.
    """
    try:
        return open_parquet(file)
    except (pa.ArrowException, OSError) as error:
        text = str(error).splitlines()[0]
        if re.search("encrypt|decrypt", text, re.IGNORECASE):
            raise UserError(f"{file} is encrypted; write it without encryption, which cannot be read here") from error
        raise UserError(f"{file} is not an intact Parquet file ({text}); copy it again") from error


def read_table(place: Path | RemotePath, columns: Sequence[str] | None = None) -> pa.Table:
    """A whole data set, or some columns of it.

    Raises:
        UserError: there is none, or the storage refuses it.
    """
    chosen = None if columns is None else list(columns)
    with explaining(place):
        return pa.concat_tables([open_parquet(file).read(columns=chosen) for file in parquet_files(place)])


def write_table(table: pa.Table, file: RemotePath, **options: Any) -> None:
    """Write a table as one Parquet file; options: those of ``pyarrow.parquet.write_table``."""
    with explaining(file):
        pq.write_table(table, arrow_path(file), filesystem=filesystem(file), **options)


def scan(place: Places, columns: Sequence[str], **options: Any) -> Iterator[pa.RecordBatch]:
    """Some columns of a data set, a batch at a time; options: such as ``batch_size``."""
    if isinstance(place, tuple):
        for one in place:
            yield from scan(one, columns, **options)
        return
    if isinstance(place, Path):
        import pyarrow.dataset as ds  # loads pandas, which a rank that only reads its rows does without

        yield from ds.dataset(place, format="parquet").to_batches(columns=list(columns), **options)
        return
    with explaining(place):
        for file in parquet_files(place):
            yield from open_parquet(file).iter_batches(columns=list(columns), **options)


def is_text(type_: pa.DataType) -> bool:
    """Whether Spark reads a column of this Arrow type as strings, or as bytes that are strings."""
    inner = without_dictionary(type_)
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
    )
    return any(test(inner) for test in tests)


def without_dictionary(type_: pa.DataType) -> pa.DataType:
    """The type of the values: a dictionary is a matter of Arrow's memory, and none of a Parquet column's type."""
    return type_.value_type if pa.types.is_dictionary(type_) else type_


def is_binary(type_: pa.DataType) -> bool:
    """Whether a column of this Arrow type holds bytes that nobody says are texts."""
    inner = without_dictionary(type_)
    return any(test(inner) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))
