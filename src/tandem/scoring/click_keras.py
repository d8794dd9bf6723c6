"""Scoring with a trained Wide & Deep, or a Keras model of the user's own."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tandem.batches.columns import ColumnRows
from tandem.custom_models import module_of
from tandem.layers import keras_features  # noqa: F401 -- registers the layers
from tandem.scoring.click import ClickScorer
from tandem.training.keras.predictor import Predictor

MODEL_FILE = "model.keras"


class WideAndDeepScorer(ClickScorer):
    """A folder with ``model.keras``, loaded."""

    def __init__(self, folder: Path) -> None:
        """Load the model in safe mode; a builder's module is imported first, for the layers that it registers."""
        super().__init__(folder)
        if self.parameters.builder is not None:
            module_of("wnd.builder", self.parameters.builder)
        self.model = keras.models.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
        self._predictor = Predictor(self._logits, self.id_columns, self.numbers)

    def _logits(self, columns: dict[str, Any]) -> Any:
        return self.model(columns, training=False)

    def _predict(self, rows: ColumnRows) -> npt.NDArray[np.float32]:
        return self._predictor(rows)
