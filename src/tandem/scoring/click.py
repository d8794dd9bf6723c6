"""Scoring with a trained click model, Arrow batch by Arrow batch: bounded memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.artifacts import read_config
from tandem.batches.columns import ColumnRows
from tandem.imports import import_tensorflow
from tandem.models.click.config import ClickConfig


class ClickScorer(ABC):
    """A model folder, loaded. ``id_columns`` and ``numbers``: what it reads, in this order."""

    def __init__(self, folder: Path) -> None:
        self.config = read_config(folder, ClickConfig)
        columns = self.config.parameters.model
        self.id_columns, self.numbers = columns.id_columns, columns.continuous

    def probabilities(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """float32 [rows]; columns: name to values [rows], at least those that the model reads."""
        ints = np.stack([columns[name].astype(np.int32) for name in self.id_columns], axis=1)
        rows = len(ints)
        floats = np.empty((rows, len(self.numbers)), np.float32)
        for place, name in enumerate(self.numbers):
            floats[:, place] = columns[name]
        return self._predict(ColumnRows(self.id_columns, self.numbers, ints, floats))

    @abstractmethod
    def _predict(self, rows: ColumnRows) -> npt.NDArray[np.float32]: ...


@lru_cache(maxsize=1)
def _scorer(folder: Path, modified: int) -> ClickScorer:
    """The model of a folder, kept by the process as long as its files do not change."""
    if read_config(folder, ClickConfig).framework == "torch":
        from tandem.scoring.click_torch import TorchClickScorer

        return TorchClickScorer(folder)
    import_tensorflow()
    from tandem.scoring.click_keras import KerasClickScorer

    return KerasClickScorer(folder)


def load_scorer(folder: Path) -> ClickScorer:
    """The model of a folder; the same object as long as its files stay the same."""
    return _scorer(folder, max(path.stat().st_mtime_ns for path in folder.iterdir()))


def predict_rows(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Append ``prediction`` (float64, a probability) to batches that have the model's columns."""
    scorer = load_scorer(folder)
    for batch in batches:
        columns = {name: batch.column(name).to_numpy() for name in (*scorer.id_columns, *scorer.numbers)}
        yield batch.append_column("prediction", pa.array(scorer.probabilities(columns).astype(np.float64)))
