"""An index over item vectors: which items have the largest inner product with a query vector.

In a folder of three files: ``index.faiss``, ``ids.parquet`` (``id`` of each row, in the index's own order) and
``index.json``, which says what the vectors are and which model made them. Faiss reads its file as native structures:
load only folders that were written here.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.errors import UserError
from tandem.parameters import IndexParameters

Vectors = npt.NDArray[np.float32]
Positions = npt.NDArray[np.int64]

FILES = ("index.faiss", "ids.parquet", "index.json")
NOTHING = -1
"""Stands in a result where an approximate index has found no further item."""

_QUERIES_AT_ONCE = 4_096
_POINTS_PER_CELL = 39  # Faiss's own recommendation for the training of cells


class IndexInfo(BaseModel):
    """What an index holds. model_fingerprint: of the towers that made its vectors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    parameters: IndexParameters
    items: int
    dim: int
    model_fingerprint: str


@dataclass(frozen=True)
class VectorIndex:
    """Item vectors, ready to be searched. ids: of each row; several threads may search."""

    info: IndexInfo
    ids: pa.Array
    faiss_index: Any
    threads: int

    def search(self, queries: Vectors, k: int, model_fingerprint: str) -> tuple[Positions, Vectors]:
        """The rows with the largest inner products, best first, and these products; equal ones by row.

        Args:
            queries: float32 [queries, dim].
            k: how many rows.
            model_fingerprint: of the model that made the queries.

        Returns:
            Rows of the index, int64, and inner products, both [queries, k]. An approximate index may find fewer:
            ``NOTHING`` and minus infinity then.

        Raises:
            UserError: the queries are another model's, or k is above the number of items.
        """
        self._check(queries, k, model_fingerprint)
        found = np.empty((len(queries), k), np.int64)
        products = np.empty((len(queries), k), np.float32)
        faiss.omp_set_num_threads(self.threads)
        for start in range(0, len(queries), _QUERIES_AT_ONCE):
            part = slice(start, start + _QUERIES_AT_ONCE)
            products[part], found[part] = self.faiss_index.search(np.ascontiguousarray(queries[part]), k)
        products[found == NOTHING] = -np.inf
        order = np.lexsort((found, -products))
        return np.take_along_axis(found, order, 1), np.take_along_axis(products, order, 1)

    def _check(self, queries: Vectors, k: int, model_fingerprint: str) -> None:
        if model_fingerprint != self.info.model_fingerprint:
            raise UserError(
                f"index: its item vectors are of the model {self.info.model_fingerprint}, the user vectors of "
                f"{model_fingerprint}; make both again: kedro run --pipelines two_tower"
            )
        if k > self.info.items:
            raise UserError(
                f"index: {k} neighbours are asked of an index of {self.info.items} items; "
                "lower two_tower.recommendations.candidates"
            )
        if queries.ndim != 2 or queries.shape[1] != self.info.dim:
            raise ValueError(f"queries of shape {queries.shape} for an index of {self.info.dim} dimensions")


def build_index(
    vectors: Vectors, ids: pa.Array, parameters: IndexParameters, model_fingerprint: str, threads: int = 1
) -> VectorIndex:
    """Index item vectors [items, dim]. Flat and IVF come out the same every time, HNSW on one thread alone.

    Raises UserError where there are no items, or fewer than the cells that are asked for.
    """
    items, dim = vectors.shape
    if len(ids) != items:
        raise ValueError(f"{len(ids)} ids for {items} vectors")
    if items == 0:
        raise UserError("index: there are no items to index; check the training data")
    if not np.isfinite(vectors).all():
        raise UserError("index: item vectors are not finite; the training has diverged: lower two_tower.learning_rate")
    faiss.omp_set_num_threads(threads)
    index = _empty_index(items, dim, parameters)
    contiguous = np.ascontiguousarray(vectors, np.float32)
    if not index.is_trained:
        index.train(contiguous)
    index.add(contiguous)
    info = IndexInfo(parameters=parameters, items=items, dim=dim, model_fingerprint=model_fingerprint)
    return VectorIndex(info, ids.cast(pa.string()), index, threads)


def save_index(index: VectorIndex, folder: Path) -> None:
    """Write the files of an index into a folder, which the caller stages and moves into place."""
    folder.mkdir(parents=True, exist_ok=True)
    faiss.write_index(index.faiss_index, str(folder / "index.faiss"))
    pq.write_table(pa.table({"id": index.ids}), folder / "ids.parquet")
    (folder / "index.json").write_text(index.info.model_dump_json(indent=2) + "\n")


def load_index(folder: Path, threads: int = 1) -> VectorIndex:
    """Read an index that ``save_index`` wrote; a local folder of one's own, as Faiss trusts what it reads.

    Raises UserError where a file is missing, or does not fit the others.
    """
    missing = [name for name in FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"index: {folder / missing[0]} does not exist; make it: kedro run --pipelines two_tower")
    try:
        info = IndexInfo.model_validate_json((folder / "index.json").read_text())
        ids = pq.read_table(folder / "ids.parquet").column("id").combine_chunks()
        index = faiss.read_index(str(folder / "index.faiss"))
    except (ValidationError, pa.ArrowException, RuntimeError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"index: {folder} is damaged ({reason}); make it: kedro run --pipelines two_tower") from error
    if (index.ntotal, index.d, len(ids)) != (info.items, info.dim, info.items):
        raise UserError(f"index: the files of {folder} do not fit each other; make it: kedro run --pipelines two_tower")
    return VectorIndex(info, ids, index, threads)


def _empty_index(items: int, dim: int, parameters: IndexParameters) -> Any:
    match parameters.kind:
        case "flat":
            return faiss.IndexFlatIP(dim)
        case "hnsw":
            index = faiss.IndexHNSWFlat(dim, parameters.hnsw_links, faiss.METRIC_INNER_PRODUCT)
            index.hnsw.efConstruction = parameters.hnsw_construction
            index.hnsw.efSearch = parameters.hnsw_search
            return index
        case "ivf":
            return _empty_ivf(items, dim, parameters)


def _empty_ivf(items: int, dim: int, parameters: IndexParameters) -> Any:
    cells = max(1, min(math.isqrt(items), items // _POINTS_PER_CELL))
    if parameters.ivf_lists != "auto":
        cells = parameters.ivf_lists
    if cells > items:
        raise UserError(f"two_tower.index.ivf_lists: {cells} cells for {items} items; use at most {items}, or auto")
    index = faiss.IndexIVFFlat(faiss.IndexFlatIP(dim), dim, cells, faiss.METRIC_INNER_PRODUCT)
    index.nprobe = min(cells, parameters.ivf_probes)
    index.cp.min_points_per_centroid = 1  # else Faiss prints a warning that nobody can act on
    return index
