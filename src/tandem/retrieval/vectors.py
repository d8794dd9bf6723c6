"""Published vectors, in memory: folders of Parquet files with ``id`` (string) and ``vector`` (list of float)."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from tandem.errors import UserError
from tandem.retrieval.index import Vectors


def read_vectors(folder: Path) -> tuple[pa.Array, Vectors]:
    """All ids, ascending, and their vectors, float32 [ids, dim].

    Raises UserError where an id stands twice.
    """
    ids, vectors = _arrays(pq.read_table(folder, columns=["id", "vector"]))
    order = pc.array_sort_indices(ids)
    ids = ids.take(order)
    if len(ids) > 1 and pc.any(pc.equal(ids[1:], ids[:-1])).as_py():
        raise UserError(f"{folder} holds two vectors of one id; make it again: kedro run --pipelines two_tower")
    return ids, vectors[order.to_numpy()]


def vectors_of(folder: Path, wanted: pa.Array) -> tuple[Vectors, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    """Vectors of these ids, float32 [wanted, dim], zeros where there is none, and which there are, bool [wanted].

    The folder is read a batch at a time.
    """
    dataset = ds.dataset(folder, format="parquet")
    found, places = [], []
    for batch in dataset.to_batches(columns=["id", "vector"]):
        place = pc.index_in(batch.column("id"), value_set=wanted)
        ids, vectors = _arrays(pa.Table.from_batches([batch]).filter(pc.is_valid(place)))
        if len(ids):
            found.append(vectors)
            places.append(place.drop_null().to_numpy())
    if not found:
        return np.zeros((len(wanted), 1), np.float32), np.zeros(len(wanted), np.bool_)
    at = np.concatenate(places)
    result, known = np.zeros((len(wanted), found[0].shape[1]), np.float32), np.zeros(len(wanted), np.bool_)
    result[at], known[at] = np.concatenate(found), True
    return result, known


def _arrays(table: pa.Table) -> tuple[pa.Array, Vectors]:
    ids, lists = table.column("id").combine_chunks(), table.column("vector").combine_chunks()
    values = lists.flatten().to_numpy(zero_copy_only=False)
    return ids, values.reshape(len(ids), -1) if len(ids) else np.zeros((0, 1), np.float32)
