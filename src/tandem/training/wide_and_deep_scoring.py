"""Scoring with a trained Wide & Deep (or a model of the user's own), Arrow batch by Arrow batch: bounded memory."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tandem.batches.columns import ColumnRows
from tandem.models import keras_features  # noqa: F401 -- registers the layers
from tandem.parameters import WideAndDeepParameters
from tandem.training.builders import module_of
from tandem.training.keras_validation import Predictor

MODEL_FILE, CONFIG_FILE = "model.keras", "config.json"


class WideAndDeepScorer:
    """A model folder, loaded. ``id_columns`` and ``numbers``: what it reads, in this order."""

    def __init__(self, folder: Path) -> None:
        """Load the model in safe mode; a builder's module is imported first, for the layers that it registers."""
        config = json.loads((folder / CONFIG_FILE).read_text())
        parameters = WideAndDeepParameters.model_validate(config["parameters"])
        self.id_columns, self.numbers = parameters.model.id_columns, parameters.model.continuous
        if parameters.builder is not None:
            module_of("wnd.builder", parameters.builder)
        self.model = keras.models.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
        self._predict = Predictor(self._logits, self.id_columns, self.numbers)

    def _logits(self, columns: dict[str, Any]) -> Any:
        return self.model(columns, training=False)

    def probabilities(self, columns: Mapping[str, npt.NDArray[Any]]) -> npt.NDArray[np.float32]:
        """float32 [rows]; columns: name to values [rows], at least those that the model reads."""
        ints = np.stack([columns[name].astype(np.int32) for name in self.id_columns], axis=1)
        rows = len(ints)
        floats = np.empty((rows, len(self.numbers)), np.float32)
        for place, name in enumerate(self.numbers):
            floats[:, place] = columns[name]
        return self._predict(ColumnRows(self.id_columns, self.numbers, ints, floats))


@lru_cache(maxsize=1)
def _scorer(folder: Path, modified: int) -> WideAndDeepScorer:
    """The model of a folder, kept by the process as long as its file does not change."""
    return WideAndDeepScorer(folder)


def load_scorer(folder: Path) -> WideAndDeepScorer:
    """The model of a folder; the same object as long as the file stays the same."""
    return _scorer(folder, (folder / MODEL_FILE).stat().st_mtime_ns)


def predict_rows(batches: Iterable[pa.RecordBatch], folder: Path) -> Iterator[pa.RecordBatch]:
    """Append ``prediction`` (float64, a probability) to batches that have the model's columns."""
    scorer = load_scorer(folder)
    for batch in batches:
        columns = {name: batch.column(name).to_numpy() for name in (*scorer.id_columns, *scorer.numbers)}
        yield batch.append_column("prediction", pa.array(scorer.probabilities(columns).astype(np.float64)))
