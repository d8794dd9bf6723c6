"""Scoring with a trained click model, Arrow batch by Arrow batch: bounded memory."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa

from tandem.artifacts import read_config
from tandem.imports import import_tensorflow
from tandem.models.click.config import ClickConfig
from tandem.scoring.click_scorer import ClickScorer


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
