"""How good probabilities are: thresholded, ranked, and as probabilities.

Everything takes probabilities in 0..1. Logits are refused: a threshold of 0.5 on a logit is one of 0.62 on its
probability, which reads as a high precision and a low recall.
"""

from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tandem.errors import UserError
from tandem.evaluation import Metrics

Floats = NDArray[np.float64]

THRESHOLD = 0.5
CALIBRATION_BINS = 10
CLIP = 1e-7
"""Log loss clips probabilities to [CLIP, 1 - CLIP]: about the closest to 1 that float32 can tell from it."""

_EDGES = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)


@dataclass(frozen=True)
class ClassificationSums:
    """What accuracy, precision, recall, log loss and calibration need of some rows; parts can be added.

    The three arrays are per bin of equal width over 0..1: rows, sum of probabilities, sum of labels. A probability on
    an edge belongs to the bin above it (1.0 to the last).
    """

    rows: float
    positives: float
    true_positives: float
    false_positives: float
    log_loss_sum: float
    bin_rows: Floats
    bin_probabilities: Floats
    bin_labels: Floats

    @classmethod
    def of(cls, labels: ArrayLike, probabilities: ArrayLike) -> Self:
        """Sums of one part of the rows.

        Args:
            labels: 0 or 1, any numeric type, shape [n]; n may be 0.
            probabilities: in 0..1, shape [n].

        Raises:
            UserError: labels other than 0 and 1, or predictions that are no probabilities.
        """
        return cls._of_checked(*checked_rows(labels, probabilities))

    @classmethod
    def _of_checked(cls, y: Floats, p: Floats) -> Self:
        predicted = p >= THRESHOLD
        clipped = np.clip(p, CLIP, 1.0 - CLIP)
        losses = -np.log(np.where(y == 1.0, clipped, 1.0 - clipped))
        bins = np.clip(np.searchsorted(_EDGES, p, side="right") - 1, 0, CALIBRATION_BINS - 1)
        return cls(
            rows=float(len(y)),
            positives=float(y.sum()),
            true_positives=float(y[predicted].sum()),
            false_positives=float((1.0 - y[predicted]).sum()),
            log_loss_sum=float(losses.sum()),
            bin_rows=np.bincount(bins, minlength=CALIBRATION_BINS).astype(np.float64),
            bin_probabilities=np.bincount(bins, p, CALIBRATION_BINS).astype(np.float64),
            bin_labels=np.bincount(bins, y, CALIBRATION_BINS).astype(np.float64),
        )

    def __add__(self, other: Self) -> Self:
        return type(self).from_vector(self.vector() + other.vector())

    def vector(self) -> Floats:
        """All sums as one float64 vector, for an allreduce."""
        return np.concatenate([np.atleast_1d(getattr(self, field.name)) for field in fields(self)])

    @classmethod
    def from_vector(cls, vector: Floats) -> Self:
        """The sums back from ``vector()``, or from a sum of such vectors."""
        scalars: list[Any] = [float(value) for value in vector[:5]]
        return cls(*scalars, *np.split(np.asarray(vector[5:], dtype=np.float64), 3))

    def metrics(self) -> Metrics:
        """Accuracy, precision, recall, log loss, RCE and calibration error; ``None`` where undefined."""
        true_negatives = self.rows - self.positives - self.false_positives
        return {
            "accuracy": _ratio(self.true_positives + true_negatives, self.rows),
            "precision": _ratio(self.true_positives, self.true_positives + self.false_positives),
            "recall": _ratio(self.true_positives, self.positives),
            "log_loss": _ratio(self.log_loss_sum, self.rows),
            "rce": self._relative_cross_entropy(),
            "calibration_error": _ratio(float(np.abs(self.bin_probabilities - self.bin_labels).sum()), self.rows),
        }

    def _relative_cross_entropy(self) -> float | None:
        """``100 * (1 - log loss / log loss of the rows' own mean)``, as in the RecSys Challenges 2020 and 2021."""
        if self.positives in (0.0, self.rows):
            return None
        rate = self.positives / self.rows
        entropy = -(rate * np.log(rate) + (1.0 - rate) * np.log1p(-rate))
        return float(100.0 * (1.0 - self.log_loss_sum / self.rows / entropy))


def classification_metrics(labels: ArrayLike, probabilities: ArrayLike) -> Metrics:
    """All classification metrics of some rows.

    - ``accuracy, precision, recall``: predicted positive where the probability is at least 0.5; precision is ``None``
      when nothing is predicted positive, recall when nothing is positive.
    - ``auc``: area under the ROC curve; equal probabilities count half (the Mann-Whitney statistic).
    - ``average_precision``: the step-wise sum of precision times recall gained, as scikit-learn's, not interpolated.
    - ``log_loss``: natural logarithm, mean per row, probabilities clipped by ``CLIP``.
    - ``rce``: relative cross entropy in percent (0: as good as the constant mean, 100: perfect).
    - ``calibration_error``: expected calibration error (Naeini et al. 2015) over 10 bins of equal width.

    ``auc``, ``average_precision`` and ``rce`` are ``None`` when all labels are equal; all are ``None`` without rows.

    Args:
        labels: 0 or 1, shape [n].
        probabilities: in 0..1, shape [n].

    Raises:
        UserError: labels other than 0 and 1, or predictions that are no probabilities.
    """
    y, p = checked_rows(labels, probabilities)
    sums = ClassificationSums._of_checked(y, p).metrics()
    auc, average_precision = _threshold_curves(y, p)
    ordered: Metrics = {name: sums[name] for name in ("accuracy", "precision", "recall")}
    return ordered | {"auc": auc, "average_precision": average_precision} | sums


def constant_predictor(train_mean: float, rows: int) -> Floats:
    """The probability that ignores its input: the share of positives among the training rows, shape [rows]."""
    return np.full(rows, train_mean, dtype=np.float64)


def checked_rows(labels: ArrayLike, probabilities: ArrayLike) -> tuple[Floats, Floats]:
    """Labels and probabilities as float64 of one length.

    Raises:
        UserError: labels other than 0 and 1, or predictions that are no probabilities.
        ValueError: the two differ in length.
    """
    y, p = np.asarray(labels, dtype=np.float64).ravel(), np.asarray(probabilities, dtype=np.float64).ravel()
    if len(y) != len(p):
        raise ValueError(f"{len(y)} labels but {len(p)} probabilities")
    strange = np.flatnonzero((y != 0.0) & (y != 1.0))
    if len(strange):
        raise UserError(f"labels: row {strange[0]} is {y[strange[0]]:g}; each must be 0 or 1")
    lost = np.flatnonzero(~np.isfinite(p))
    if len(lost):
        raise UserError(
            f"predictions: {len(lost)} of {len(p)} are not finite (first in row {lost[0]}); "
            "the training has diverged: lower the learning rate"
        )
    outside = np.flatnonzero((p < 0.0) | (p > 1.0))
    if len(outside):
        raise UserError(
            f"predictions: row {outside[0]} is {p[outside[0]]:g}, not within 0..1; these look like logits: "
            "apply the sigmoid before evaluating"
        )
    return y, p


def _threshold_curves(y: Floats, p: Floats) -> tuple[float | None, float | None]:
    """ROC AUC and average precision, from counts at each distinct probability (so that ties are exact)."""
    positives = float(y.sum())
    negatives = len(y) - positives
    if positives == 0.0 or negatives == 0.0:
        return None, None
    order = np.argsort(-p, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(p[order])), len(p) - 1)
    true_positives = np.cumsum(y[order])[last_of_tie]
    predicted = last_of_tie + 1.0
    gained = np.diff(true_positives, prepend=0.0)
    false_gained = np.diff(predicted - true_positives, prepend=0.0)
    auc = (false_gained * (true_positives - gained / 2.0)).sum() / (positives * negatives)
    average_precision = (gained * true_positives / predicted).sum() / positives
    return float(auc), float(average_precision)


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator else None
