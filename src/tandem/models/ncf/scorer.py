"""A trained NeuMF for scoring alone, in NumPy: no PyTorch, whose import takes longer than scoring a million pairs.

What depends on one id (embeddings, side features, its half of the first layer) is a row of a table, made once when
the model was saved. A pair is the product of two GMF rows and a small MLP over the sum of two halves.

Shapes in names: ``U``/``I`` users/items including id 0 (unknown), ``B`` rows, ``G`` GMF width, ``H`` width of the
first MLP layer.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from tandem.artifacts import EVALUATED, check_is_file, read_config
from tandem.models.ncf.config import NeuMFConfig

SCORER_FILE = "scorer.safetensors"

Floats = npt.NDArray[np.float32]
Ids = npt.NDArray[np.integer]

# Floats of one block's widest intermediate: they should stay in a core's own cache.
_BLOCK_CELLS = 256_000


@dataclass(frozen=True)
class NeuMFScorer:
    """users_U, items_I: float32 [U or I, G + H]; hidden: (weight [out, in], bias [out]) of each layer after the first;
    output: [G + last]; bias: [1].
    """

    config: NeuMFConfig
    users: Floats
    items: Floats
    hidden: tuple[tuple[Floats, Floats], ...]
    output: Floats
    bias: Floats

    def score_pairs(self, users_B: Ids, items_B: Ids) -> Floats:
        """Logits of (user, item) pairs, float32 [B]."""
        logits = np.empty(len(users_B), np.float32)
        rows = max(1, _BLOCK_CELLS // self.users.shape[1])
        for start in range(0, len(users_B), rows):
            part = slice(start, start + rows)
            (user_gmf, user_half), (item_gmf, item_half) = (
                self._parts(self.users[users_B[part]]),
                self._parts(self.items[items_B[part]]),
            )
            user_gmf *= item_gmf
            user_half += item_half
            logits[part] = user_gmf @ self.output[: user_gmf.shape[1]] + self._mlp(user_half)
        return logits

    def score_all(self, users_B: Ids) -> Floats:
        """Logits of every item, id 0 included, for each user: float32 [B, I]."""
        item_gmf, item_half = self._parts(self.items)
        user_gmf, user_half = self._parts(self.users[users_B])
        logits = np.asarray((user_gmf * self.output[: user_gmf.shape[1]]) @ item_gmf.T, np.float32)
        items = max(1, _BLOCK_CELLS // item_half.shape[1])
        for row, half in enumerate(user_half):
            for start in range(0, len(item_half), items):
                part = slice(start, start + items)
                logits[row, part] += self._mlp(item_half[part] + half)
        return logits

    def probability(self, logits: Floats) -> npt.NDArray[np.float64]:
        """Calibrated probabilities: ``sigmoid(scale * logit + offset)``."""
        calibration = self.config.calibration
        z = calibration.scale * logits.astype(np.float64) + calibration.offset
        return np.asarray(0.5 * (1.0 + np.tanh(0.5 * z)))

    def _parts(self, rows: Floats) -> tuple[Floats, Floats]:
        gmf_dim = self.config.parameters.gmf_dim
        return rows[:, :gmf_dim], rows[:, gmf_dim:]

    def _mlp(self, first_layer: Floats) -> Floats:
        """What the MLP adds to the logits: [B, H] to [B]; overwrites its argument."""
        values = np.maximum(first_layer, 0.0, out=first_layer)
        for weight, bias in self.hidden:
            values = values @ weight.T
            values += bias
            np.maximum(values, 0.0, out=values)
        added: Floats = values @ self.output[-values.shape[1] :] + self.bias
        return added


def evaluated_model(folder: Path) -> Path:
    """The folder of the model that predicts the test rows: the published one, or where that has learnt them another."""
    return folder / EVALUATED if (folder / EVALUATED).is_dir() else folder


def load_scorer(folder: Path) -> NeuMFScorer:
    """Read what :func:`tandem.models.ncf.network.save_ncf` wrote.

    Raises UserError where a file is missing or is not of this format.
    """
    config = read_config(folder, NeuMFConfig)
    check_is_file(folder / SCORER_FILE, config.tag)
    tensors = load_file(folder / SCORER_FILE)
    layers = sum(name.endswith(".weight") for name in tensors)
    return NeuMFScorer(
        config=config,
        users=tensors["users"],
        items=tensors["items"],
        hidden=tuple((tensors[f"hidden.{i}.weight"], tensors[f"hidden.{i}.bias"]) for i in range(layers)),
        output=tensors["output"],
        bias=tensors["bias"],
    )
