"""The one thing of a Parquet file of Spark's that differs from run to run: the order of a list in its footer.

For every column chunk the footer lists the encodings that occur in it. Parquet's Java library keeps them in a set whose
order follows from where Java's objects happen to lie; here they are put in ascending order. The footer is a Thrift
structure in the compact protocol (parquet.thrift of the Parquet format, and Thrift's compact-protocol specification);
no byte but those of the lists moves.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"PAR1"
_TAIL = 8  # the footer's length, four bytes, and the magic
# Fields, by their numbers: FileMetaData.row_groups, RowGroup.columns, ColumnChunk.meta_data, ColumnMetaData.encodings.
_ENCODINGS = (4, 1, 3, 2)

# Types of the compact protocol.
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = range(1, 13)
_LONG_LIST = 15


def sort_encodings(file: Path) -> None:
    """Put the encodings of every column chunk in ascending order, in place. Raises ValueError: no Parquet file."""
    with file.open("r+b") as stream:
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _TAIL))
        tail = stream.read()
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != MAGIC or length > size - _TAIL:
            raise ValueError(f"{file} is no Parquet file")
        stream.seek(size - _TAIL - length)
        footer = bytearray(stream.read(length))
        before = bytes(footer)
        for parts in _Footer(footer).encodings():
            values = sorted(bytes(footer[part]) for part in parts)
            footer[parts[0].start : parts[-1].stop] = b"".join(values)
        if footer != before:
            stream.seek(size - _TAIL - length)
            stream.write(footer)


@dataclass
class _Footer:
    data: bytearray
    position: int = 0

    def encodings(self) -> Iterator[list[slice]]:
        """Where the values of each list of encodings stand."""
        yield from self._struct(())

    def _struct(self, path: tuple[int, ...]) -> Iterator[list[slice]]:
        field = 0
        while header := self._byte():
            delta, kind = header >> 4, header & 15
            field = field + delta if delta else self._zigzag()
            yield from self._value(kind, (*path, field))

    def _value(self, kind: int, path: tuple[int, ...]) -> Iterator[list[slice]]:
        if kind == _STRUCT:
            yield from self._struct(path)
        elif kind in (_LIST, _SET):
            yield from self._list(path)
        elif kind == _MAP:
            raise ValueError("a Parquet footer has no maps")
        else:
            self._skip(kind)

    def _list(self, path: tuple[int, ...]) -> Iterator[list[slice]]:
        header = self._byte()
        size, kind = header >> 4, header & 15
        if size == _LONG_LIST:
            size = self._varint()
        parts = []
        for _ in range(size):
            start = self.position
            if kind in (_TRUE, _FALSE):
                self.position += 1  # in a list, unlike a field, a truth value is a byte
            else:
                yield from self._value(kind, path)
            parts.append(slice(start, self.position))
        if path == _ENCODINGS and parts:
            yield parts

    def _skip(self, kind: int) -> None:
        if kind in (_I16, _I32, _I64):
            self._varint()
        elif kind == _BINARY:
            length = self._varint()
            self.position += length
        else:
            self.position += {_TRUE: 0, _FALSE: 0, _BYTE: 1, _DOUBLE: 8}[kind]

    def _byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
