"""The wanted columns of Parquet files by their footers: of what type each is, and as what Spark reads it.

Whatever else a file holds, nothing reads: it may be of any type, codec or name. No Spark here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.parquet as pq

from tandem.errors import UserError
from tandem.storage.filesystems import open_binary, size_of
from tandem.storage.locations import Location
from tandem.storage.parquet import is_text, open_intact, without_dictionary

# Those that Spark's Java can decode; UNKNOWN is Arrow's word for LZ4 as Hadoop frames it.
_CODECS = frozenset({"UNCOMPRESSED", "SNAPPY", "GZIP", "ZSTD", "LZ4", "UNKNOWN"})
_PLAIN = {
    pa.types.is_null: "void",
    pa.types.is_boolean: "boolean",
    pa.types.is_uint64: "decimal(20,0)",
    pa.types.is_integer: "long",
    pa.types.is_float32: "double",
    pa.types.is_float64: "double",
    pa.types.is_date: "date",
    is_text: "string",
}
_TAIL = 9  # the last byte of the footer, its length in four bytes, and four that say Parquet
_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


@dataclass(frozen=True)
class StoredColumn:
    """A column as it is stored.

    Attributes:
        type: its Arrow type, for those who read about it.
        read_as: the type that Spark reads it as, in Spark's words; None where Spark cannot, ``void`` where it has no
            value at all.
        per_second: of a timestamp, how many of its whole numbers make a second; None of anything else.
        inside: the names that lead to it, where it is one of a struct; else empty.
    """

    type: pa.DataType
    read_as: str | None
    per_second: int | None = None
    inside: tuple[str, ...] = ()

    @property
    def is_void(self) -> bool:
        """Whether it holds nothing but nulls, by its type."""
        return self.read_as == "void"

    @property
    def has_fractions(self) -> bool:
        """Whether it is a decimal with digits behind the point."""
        return bool(pa.types.is_decimal(self.type) and self.type.scale > 0)


@dataclass(frozen=True)
class Footer:
    """What the end of a file with rows tells.

    Attributes:
        rows: how many there are.
        names: of all columns, in their order; one may stand there twice.
        columns: how each of those is stored that may be wanted, by name.
    """

    rows: int
    names: tuple[str, ...]
    columns: dict[str, StoredColumn]


@dataclass(frozen=True)
class FileGroup:
    """Files whose columns are stored alike.

    Attributes:
        paths: of the files.
        columns: how each column that has values is stored, by the name it is read under.
        spelt: the name that it has in the files, where that is another.
    """

    paths: tuple[Location, ...]
    columns: dict[str, StoredColumn]
    spelt: dict[str, str] = field(default_factory=dict)


def look_into(path: Location, wanted: Sequence[str]) -> Footer | None:
    """The footer of a Parquet file; None where it has no rows.

    wanted: the names of columns that will be read; without one called ``a.b``, that is ``b`` of the struct ``a``.

    Raises:
        UserError: the file is broken or encrypted, or may not be read; a wanted column is compressed or encoded in a
            way that Spark's Java does not know; columns of one name have types that it confuses.
    """
    _check_end(path)
    with open_intact(path) as file:
        if file.metadata.num_rows == 0:
            return None
        schema = file.schema_arrow
        _check_twins(path, schema)
        _check_codecs(path, file, wanted)
        int96 = {leaf.path for leaf in _leaves(file) if leaf.physical_type == "INT96"}
        types = {name: schema.field(name).type for name in schema.names if schema.names.count(name) == 1}
        columns = {name: stored_column(types[name], name in int96) for name in wanted if name in types}
        for name in (name for name in wanted if name not in schema.names):
            found = _in_struct(types, name)
            if found is not None:
                columns[name] = replace(stored_column(found, name in int96), inside=tuple(name.split(".")))
        return Footer(file.metadata.num_rows, tuple(schema.names), columns)


def grouped(found: Mapping[Location, tuple[dict[str, StoredColumn], dict[str, str]]]) -> tuple[FileGroup, ...]:
    """Files with the same columns stored alike stand together, in the order of the first of each.

    found: by path how its columns are stored, and how those are spelt in it whose names there are others.
    """
    groups: dict[tuple[object, ...], FileGroup] = {}
    for path, (columns, spelt) in found.items():
        filled = {name: column for name, column in columns.items() if not column.is_void}
        key = (*((name, column.read_as, column.per_second) for name, column in filled.items()), *spelt.items())
        before = groups.get(key, FileGroup((), filled, spelt))
        groups[key] = FileGroup((*before.paths, path), before.columns, before.spelt)
    return tuple(groups.values())


def stored_column(type_: pa.DataType, int96: bool = False) -> StoredColumn:
    """How Spark reads a column of this Arrow type; int96: whether its timestamps are stored as Hive's old ones are."""
    inner = without_dictionary(type_)
    if pa.types.is_timestamp(inner):
        # By their whole numbers: so no unit is unknown to Spark, and no conversion of its own can overflow.
        read_as, unit = ("timestamp", "us") if int96 else ("long", inner.unit)
        return StoredColumn(type_, read_as, _UNITS[unit])
    return StoredColumn(type_, _read_as(inner))


def _read_as(type_: pa.DataType) -> str | None:
    for is_such, read_as in _PLAIN.items():
        if is_such(type_):
            return read_as
    if pa.types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})" if 0 <= type_.scale <= type_.precision <= 38 else None
    return _list_as(type_)


def _list_as(type_: pa.DataType) -> str | None:
    lists = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    if not any(is_list(type_) for is_list in lists):
        return None
    if pa.types.is_null(type_.value_type):
        return "void"  # no list here has an element, whatever their number
    if pa.types.is_integer(type_.value_type) and not pa.types.is_uint64(type_.value_type):
        return "array<long>"
    return "array<string>" if is_text(type_.value_type) else None


def _in_struct(types: Mapping[str, pa.DataType], name: str) -> pa.DataType | None:
    """The type of ``b`` in the struct ``a``, of the name ``a.b``; None where there is none."""
    first, *others = name.split(".")
    found = types.get(first)
    for part in others:
        if found is None or not pa.types.is_struct(found) or found.get_field_index(part) < 0:
            return None
        found = found.field(part).type
    return found


def _check_end(path: Location) -> None:
    """What may not be read is told here, as to Arrow it is not intact; and so is an encrypted file with a plain footer.

    Arrow ends the whole process where one asks it for a column of such a file. Its footer is signed, where that of any
    other ends with a zero.
    """
    with open_binary(path) as file:
        file.seek(max(0, size_of(path) - _TAIL))
        tail = file.read(_TAIL)
    if len(tail) == _TAIL and tail.endswith(b"PAR1") and tail[0] != 0:
        raise UserError(f"{path} is encrypted; write it without encryption, which cannot be read here")


def _leaves(file: pq.ParquetFile) -> Iterator[pq.ColumnSchema]:
    return (file.schema.column(index) for index in range(len(file.schema)))


def _check_twins(path: Location, schema: pa.Schema) -> None:
    """Java takes the parts and the statistics of a column for those of another of its name, whichever is wanted."""
    for name in dict.fromkeys(schema.names):
        types = [schema.types[index] for index in schema.get_all_field_indices(name)]
        if len(types) > 1 and (len(set(types)) > 1 or pa.types.is_nested(types[0])):
            raise UserError(
                f"{path}: column {name} stands there twice, as {' and as '.join(map(str, types))}, which "
                "Spark's Java confuses; keep one of them, or rename the others"
            )


def _check_codecs(path: Location, file: pq.ParquetFile, wanted: Sequence[str]) -> None:
    places = {
        index: leaf.path
        for index, leaf in enumerate(_leaves(file))
        if leaf.path in wanted or leaf.path.partition(".")[0] in wanted
    }
    for group in range(file.metadata.num_row_groups):
        chunks = file.metadata.row_group(group)
        for index, name in places.items():
            chunk = chunks.column(index)
            codec = chunk.compression
            if "BYTE_STREAM_SPLIT" in chunk.encodings:
                raise UserError(
                    f"{path}: column {name} is encoded as BYTE_STREAM_SPLIT, which Spark does not read; write it anew "
                    "with the usual encodings"
                )
            if codec not in _CODECS:
                raise UserError(
                    f"{path}: column {name} is compressed by {codec}, which Spark's Java has no codec for; write it "
                    "anew (pyarrow.parquet.write_table(..., compression='zstd'))"
                )
