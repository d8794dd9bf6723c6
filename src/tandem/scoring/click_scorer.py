"""What every scorer of a click model is, whatever its framework."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.artifacts import read_config
from tandem.batches.columns import ColumnRows
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
