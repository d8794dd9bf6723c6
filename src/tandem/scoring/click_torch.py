"""Scoring with a click model that was trained in PyTorch."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.torch import load_file

from tandem.batches.columns import ColumnRows
from tandem.models.click.torch_task import MODEL_FILE, build_model, predicted
from tandem.scoring.click_scorer import ClickScorer


class TorchClickScorer(ClickScorer):
    """A folder with ``model.safetensors``: the module is built again, and then takes the weights."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.model = build_model(self.config, seed=0)
        self.model.load_state_dict(load_file(folder / MODEL_FILE))

    def _predict(self, rows: ColumnRows) -> npt.NDArray[np.float32]:
        return predicted(self.model, rows, (*self.id_columns, *self.numbers), bf16=False)
