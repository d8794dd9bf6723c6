"""Scoring with a click model that was trained in Keras."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tandem.batches.columns import ColumnRows
from tandem.custom_models import module_of
from tandem.layers import keras_features  # noqa: F401 -- registers the layers
from tandem.models.click import network
from tandem.scoring.click_scorer import ClickScorer
from tandem.training.keras.predictor import Predictor

MODEL_FILE = "model.keras"


class KerasClickScorer(ClickScorer):
    """A folder with ``model.keras``, loaded."""

    def __init__(self, folder: Path) -> None:
        """Load the model in safe mode; what builds it is imported first, for the layers that it registers."""
        super().__init__(folder)
        builder = self.config.parameters.builder
        if builder is None:
            network(self.config.tag)
        else:
            module_of(f"{self.config.tag}.builder", builder)
        self.model = keras.models.load_model(folder / MODEL_FILE, compile=False, safe_mode=True)
        self._predictor = Predictor(self._logits, self.id_columns, self.numbers)

    def _logits(self, columns: dict[str, Any]) -> Any:
        return self.model(columns, training=False)

    def _predict(self, rows: ColumnRows) -> npt.NDArray[np.float32]:
        return self._predictor(rows)
