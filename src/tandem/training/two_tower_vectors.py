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

from tandem.batches.columns import ColumnRows
from tandem.batches.shards import count_rows, rank_range
from tandem.models.two_tower import input_columns
from tandem.parameters import TowerParameters
from tandem.storage.locations import Location
from tandem.storage.parquet import open_parquet, parquet_files
from tandem.training.two_tower_data import Side, distinct, keys_of, within

Floats = npt.NDArray[np.float32]

BLOCK_ROWS = 8_192
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
        parts = [self._traced(tf.constant(ids[block]), tf.constant(numbers[block])) for block in blocks]
        return np.concatenate([np.asarray(part) for part in parts])

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


def _matrix(rows: ColumnRows, names: Sequence[str], type_: Any) -> npt.NDArray[Any]:
    columns = [rows.column(name) for name in names]
    return np.column_stack(columns) if columns else np.empty((len(rows), 0), type_)


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
    wanted, position = rank_range(count_rows(path), rank, size), 0
    for file in parquet_files(path):
        reader = open_parquet(file)
        rows = reader.metadata.num_rows
        if position < wanted.stop and position + rows > wanted.start:
            for block in reader.iter_batches(BLOCK_ROWS, columns=list(dict.fromkeys(columns))):
                first, last = max(wanted.start - position, 0), min(wanted.stop - position, len(block))
                if first < last:
                    yield block.slice(first, last - first)
                position += len(block)
        else:
            position += rows


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
