"""Files of Spark's are the same bytes in every run, whatever order Java keeps a set in."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from tandem.datasets import ParquetFolderDataset
from tandem.storage.parquet_footer import _Footer, sort_encodings


def footer(file: Path) -> tuple[int, bytearray]:
    """Where it stands, and its bytes."""
    data = file.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    return start, bytearray(data[start:-8])


def lists(file: Path) -> list[bytes]:
    _, data = footer(file)
    return [b"".join(bytes(data[part]) for part in parts) for parts in _Footer(data).encodings()]


def write(file: Path, columns: int = 20) -> pa.Table:
    """Columns and row groups beyond the fifteen that a short list of Thrift's can have."""
    rng = np.random.default_rng(0)
    names = (f"column{index}" for index in range(columns))
    table = pa.table({name: rng.integers(0, 9, 400) for name in names}).append_column(
        "text", pa.array(["a", "b"] * 200)
    )
    pq.write_table(table, file, row_group_size=20)
    return table


def test_every_list_is_sorted_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    table = write(file)
    sort_encodings(file)
    original, found = file.read_bytes(), lists(file)
    assert len(found) == 20 * 21
    assert all(len(one) > 1 and list(one) == sorted(one) for one in found)
    start, data = footer(file)
    for parts in _Footer(bytearray(data)).encodings():
        data[parts[0].start : parts[-1].stop] = reversed(data[parts[0].start : parts[-1].stop])
    file.write_bytes(original[:start] + data + original[-8:])
    assert file.read_bytes() != original
    sort_encodings(file)
    assert file.read_bytes() == original
    assert pq.read_table(file).equals(table)


def test_what_spark_writes_is_sorted(spark: SparkSession, tmp_path: Path) -> None:
    rows = spark.range(100).selectExpr("id", "cast(id % 3 as string) as kind", "array(id, id) as several")
    ParquetFolderDataset(filepath=str(tmp_path / "rows.parquet")).save(rows)
    files = sorted((tmp_path / "rows.parquet").glob("*.parquet"))
    assert files
    for file in files:
        assert len(lists(file)) == 3
        assert all(list(one) == sorted(one) for one in lists(file))
    assert pq.read_table(tmp_path / "rows.parquet").num_rows == 100


def test_another_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"PAR1", b"no parquet at all", b"\xff\xff\xff\x7fPAR1"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(ValueError, match="is no Parquet file"):
            sort_encodings(tmp_path / "file")
