"""Trained towers applied to whole tables, a block of rows at a time, by all ranks together."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf

from tandem.batches.columns import LABEL, ColumnRows
from tandem.batches.row_blocks import RowStream, arrow_blocks
from tandem.batches.shards import group_parts
from tandem.batches.streaming import blocks_of
from tandem.models.two_tower.keys import Side, distinct, keys_of, within
from tandem.models.two_tower.network import input_columns
from tandem.parameters import TowerParameters
from tandem.storage.locations import Location

Floats = npt.NDArray[np.float32]

BLOCK_ROWS = 8_192
EQUAL_ROWS = 1_024
EMBEDDINGS = pa.schema([("id", pa.string()), ("vector", pa.list_(pa.float32()))])
KEPT = ("user_id", "tweet_id", "label", "user", "tweet")
"""Columns of test rows that are published beside their prediction; ``user`` and ``tweet`` are 0 where unknown."""
PREDICTIONS = pa.schema(
    [
        ("user_id", pa.string()),
        ("tweet_id", pa.string()),
        ("label", pa.int32()),
        ("user", pa.int32()),
        ("tweet", pa.int32()),
        ("prediction", pa.float64()),
    ]
)


class Tower:
    """A Keras tower that takes columns by name."""

    def __init__(self, model: keras.Model, side: Side, columns: TowerParameters) -> None:
        """Args: model: takes a dict of some of the columns, each [n]; side: whose it is."""
        self.model, self.side, self.columns = model, side, columns
        self._reads = set(input_columns(model))
        self._traced = tf.function(self._of_matrices, reduce_retracing=True)

    def call(self, columns: Mapping[str, Any], *, training: bool = False) -> Any:
        """Vectors [n, dim], float32, of columns [n]."""
        read = {name: column for name, column in columns.items() if name in self._reads}
        return tf.cast(self.model(read, training=training), tf.float32)

    def _of_matrices(self, ids: Any, numbers: Any) -> Any:
        columns = {name: ids[:, place] for place, name in enumerate(self.columns.ids)}
        return self.call(columns | {name: numbers[:, place] for place, name in enumerate(self.columns.continuous)})

    def vectors(self, rows: ColumnRows) -> Floats:
        """Vectors [n, dim] of rows that have the tower's columns, a block at a time."""
        ids = _matrix(rows, self.columns.ids, np.int32)
        numbers = _matrix(rows, self.columns.continuous, np.float32)
        blocks = [slice(start, start + BLOCK_ROWS) for start in range(0, max(1, len(rows)), BLOCK_ROWS)]
        parts = [self._traced(_filled_up(ids[block]), _filled_up(numbers[block])) for block in blocks]
        return np.concatenate([np.asarray(part) for part in parts])[: len(rows)]

    def distinct_vectors(self, rows: ColumnRows) -> Floats:
        """The same, where each distinct user or item goes through the tower once."""
        first, place = distinct(keys_of(rows, self.side, self.columns))
        return self.vectors(rows.take(first))[place]


@dataclass(frozen=True)
class Towers:
    """Both towers, and the scale and bias that make a logit of a product."""

    user: Tower
    item: Tower
    scale: float = 1.0
    bias: float = 0.0

    def products(self, rows: ColumnRows) -> Floats:
        """Products of the vectors of the rows' users and items, float32 [n]."""
        return np.asarray((self.user.distinct_vectors(rows) * self.item.distinct_vectors(rows)).sum(1), np.float32)

    def labelled_products(self, rows: RowStream) -> Iterator[tuple[npt.NDArray[Any], Floats]]:
        """Labels and products, float32, both [n], of streamed rows: so many at a time that vectors stay few."""
        for block in blocks_of(rows):
            for start in range(0, len(block), BLOCK_ROWS):
                some = block.take(np.arange(start, min(start + BLOCK_ROWS, len(block))))
                yield some.column(LABEL), self.products(some)


def _matrix(rows: ColumnRows, names: Sequence[str], type_: Any) -> npt.NDArray[Any]:
    columns = [rows.column(name) for name in names]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0), type_)


def _filled_up(matrix: npt.NDArray[Any]) -> Any:
    """The rows, and rows of zeros to one of a few numbers: oneDNN makes, and keeps, code for every number it meets."""
    return tf.constant(np.pad(matrix, ((0, -len(matrix) % EQUAL_ROWS), (0, 0))))


def write_embeddings(
    tower: Tower, table: Location, folder: Path, sizes: Mapping[str, int], rank: int, size: int
) -> None:
    """Vectors of this rank's rows of a feature table, as a part of a Parquet folder: ``id``, ``vector``.

    table: one row per id; sizes: of the tower's id columns. Memory is that of a block.
    """
    key = "user_id" if tower.side == "user" else "tweet_id"
    with _writer(folder, EMBEDDINGS, rank) as writer:
        for block in _blocks(table, (key, *tower.columns.columns), rank, size):
            vectors = tower.vectors(_column_rows(block, tower.columns.ids, tower.columns.continuous, sizes))
            offsets = np.arange(0, vectors.size + 1, vectors.shape[1], dtype=np.int32)
            lists = pa.ListArray.from_arrays(offsets, pa.array(vectors.ravel()))
            writer.write_batch(pa.record_batch([block.column(key), lists], schema=EMBEDDINGS))


def write_predictions(
    towers: Towers, test: Location, folder: Path, ids: Sequence[str], numbers: Sequence[str], rank: int, size: int
) -> None:
    """``prediction``, a probability, for this rank's test rows, as a part of a Parquet folder.

    ids, numbers: the columns that the towers read.
    """
    with _writer(folder, PREDICTIONS, rank) as writer:
        for block in _blocks(test, (*KEPT, *ids, *numbers), rank, size):
            products = towers.products(_column_rows(block, ids, numbers, {})).astype(np.float64)
            probabilities = 0.5 * (1.0 + np.tanh(0.5 * (towers.scale * products + towers.bias)))
            kept = [block.column(name) for name in KEPT]
            writer.write_batch(pa.record_batch([*kept, pa.array(probabilities)], schema=PREDICTIONS))


def _writer(folder: Path, schema: pa.Schema, rank: int) -> pq.ParquetWriter:
    folder.mkdir(parents=True, exist_ok=True)
    return pq.ParquetWriter(folder / f"part-{rank:05d}.parquet", schema)


def _blocks(path: Location, columns: Sequence[str], rank: int, size: int) -> Iterator[pa.RecordBatch]:
    """This rank's rows of a data set, a block at a time."""
    for part in group_parts(path, rank, size):
        yield from (block for block, _ in arrow_blocks(part, tuple(columns), BLOCK_ROWS))


def _column_rows(
    block: pa.RecordBatch, ids: Sequence[str], numbers: Sequence[str], sizes: Mapping[str, int]
) -> ColumnRows:
    ints = np.empty((len(block), len(ids)), np.int32)
    floats = np.empty((len(block), len(numbers)), np.float32)
    for index, name in enumerate(ids):
        ints[:, index] = block.column(name).to_numpy()
    for index, name in enumerate(numbers):
        floats[:, index] = block.column(name).to_numpy()
    return within(ColumnRows(tuple(ids), tuple(numbers), ints, floats), sizes)
