"""Platt scaling over the ranks: logits to probabilities that hold on rows with the stored share of negatives."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.artifacts import Calibration
from tandem.distributed.ranks.communicator import Communicator

ITERATIONS = 25
TOLERANCE = 1e-9
# Of a model that tells nothing apart: no probability moves by more than a few thousandths, and the order stays.
LEAST_SCALE = 1e-3

# So many rows of a rank are enough to decide on two numbers.
MOST_STREAMED_ROWS = 1 << 17

Floats = npt.NDArray[np.float64]


def first_of(parts: Iterable[tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> tuple[Floats, Floats]:
    """Labels and logits of the first of streamed rows: as many parts as it takes."""
    labels, logits = [np.empty(0)], [np.empty(0)]
    for some_labels, some_logits in parts:
        labels.append(some_labels.astype(np.float64))
        logits.append(some_logits.astype(np.float64))
        if sum(map(len, labels)) >= MOST_STREAMED_ROWS:
            break
    return np.concatenate(labels), np.concatenate(logits)


def fit_calibration(logits: Floats, labels: Floats, communicator: Communicator) -> Calibration:
    """Scale and offset of the logits that maximise the likelihood of the labels of all ranks, by Newton's method with
    steps halved until they help.

    logits, labels: this rank's rows [n]; n may be 0 and differ between the ranks. Returns the same on every rank: the
    identity where there are no rows; the share of positives, in the order of the logits, where all labels are equal, or
    where the likelihood asks for a scale that is not positive (a model that ranks worse than chance). A logit as it is
    would say nothing of that share: the products of two towers are cosines.
    """
    totals = communicator.allreduce_scalars({"rows": float(len(labels)), "positives": float(labels.sum())})
    if totals["rows"] == 0.0:
        return Calibration()
    if totals["positives"] in (0.0, totals["rows"]):
        return _base_rate(**totals)
    share = totals["positives"] / totals["rows"]
    point = _most_likely(logits, labels, np.array([0.0, np.log(share / (1.0 - share))]), communicator)
    if not (np.isfinite(point).all() and point[0] > 0.0):
        return _base_rate(**totals)
    return Calibration(scale=float(point[0]), offset=float(point[1]))


def _base_rate(rows: float, positives: float) -> Calibration:
    """The share of positives, smoothed by half a row of each label so that none is impossible."""
    return Calibration(scale=LEAST_SCALE, offset=float(np.log((positives + 0.5) / (rows - positives + 0.5))))


def _most_likely(logits: Floats, labels: Floats, point: Floats, communicator: Communicator) -> Floats:
    """Scale and offset, from those of ``point`` on."""
    sums = communicator.allreduce_scalars(_newton_sums(logits, labels, point))
    for _ in range(ITERATIONS):
        hessian = np.array([[sums["ss"], sums["so"]], [sums["so"], sums["oo"]]])
        step = np.linalg.solve(hessian, [sums["s"], sums["o"]])
        while np.abs(step).sum() > TOLERANCE:
            tried = communicator.allreduce_scalars(_newton_sums(logits, labels, point - step))
            if tried["loss"] <= sums["loss"]:
                break
            step /= 2.0
        else:
            break
        point, sums = point - step, tried
    return point


def _newton_sums(logits: Floats, labels: Floats, point: Floats) -> dict[str, float]:
    """Negative log-likelihood, its gradient (s, o) and Hessian (ss, so, oo); a tiny ridge keeps it invertible."""
    z = point[0] * logits + point[1]
    p = 0.5 * (1.0 + np.tanh(0.5 * z))
    error, weight = p - labels, p * (1.0 - p)
    return {
        "loss": float(np.logaddexp(0.0, np.where(labels > 0, -z, z)).sum()),
        "s": float(error @ logits),
        "o": float(error.sum()),
        "ss": float(weight @ (logits * logits)) + 1e-6,
        "so": float(weight @ logits),
        "oo": float(weight.sum()) + 1e-6,
    }
