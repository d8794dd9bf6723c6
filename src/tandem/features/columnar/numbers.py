"""Numbers scaled as Spark's expressions do, to the same bits: NaN stands for no value all the way."""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tandem.features.columnar.log1p import log1p
from tandem.features.columnar.sources import Doubles
from tandem.features.spec import AnyFeature, BucketFeature, FillFeature, MinMaxFeature, ScaledFeature, ZScoreFeature

Floats = npt.NDArray[np.float32]
Scaled = ScaledFeature | MinMaxFeature


class Scaler:
    """Several features that are scaled to 0..1 at once: for a few rows, calls cost more than numbers."""

    def __init__(self, features: Sequence[Scaled]) -> None:
        """Keep the ranges of the features."""
        ranges = [ends(feature) for feature in features]
        self._logged = np.array([logged for _, _, logged in ranges], bool)
        self._low = np.array([[low] for low, _, _ in ranges], np.float64)
        self._range = np.array([[high - low] for low, high, _ in ranges], np.float64)
        self._constant = np.array([[high <= low] for low, high, _ in ranges], bool)
        self._missing = np.array([[feature.missing] for feature in features], np.float64)

    def scale(self, numbers: Doubles) -> Floats:
        """The scaled numbers, float32 [features, rows], of raw ones of that shape."""
        if self._logged.any():
            numbers[self._logged] = log1p(_at_least(numbers[self._logged], 0.0))
        with np.errstate(all="ignore"):
            within = np.where(self._constant, numbers, (numbers - self._low) / self._range)
        top = np.where(self._constant, 0.0, 1.0)
        bounded = _at_least(within, 0.0)
        bounded = np.where(top < bounded, top, bounded)
        return np.where(np.isnan(bounded), self._missing, bounded).astype(np.float32)


def filled(feature: FillFeature, numbers: Doubles) -> Floats:
    """The numbers, and the feature's where one is missing, float32 [rows]."""
    return _or_missing(feature, numbers)


def z_scores(feature: ZScoreFeature, numbers: Doubles) -> Floats:
    """Numbers in deviations from the mean, float32 [rows]."""
    if feature.deviation == 0.0:
        return np.zeros(len(numbers), np.float32)
    with np.errstate(all="ignore"):
        return _or_missing(feature, (numbers - feature.mean) / feature.deviation, np.isnan(numbers))


def buckets(feature: BucketFeature, numbers: Doubles) -> npt.NDArray[np.int32]:
    """1 + the number of edges that each reaches, 0 where it is missing, int32 [rows]."""
    reached = np.searchsorted(np.sort(np.array(feature.edges, np.float64)), numbers, side="right") + 1
    return np.where(np.isnan(numbers), 0, reached).astype(np.int32)


def _or_missing(feature: AnyFeature, numbers: Doubles, absent: npt.NDArray[np.bool_] | None = None) -> Floats:
    absent = np.isnan(numbers) if absent is None else absent
    with np.errstate(over="ignore"):
        return np.where(absent, feature.missing, numbers).astype(np.float32)


def _at_least(numbers: Doubles, low: float) -> Doubles:
    """As Spark's ``greatest``: -0.0 is no less than 0.0, and stays; NaN does, too."""
    return np.where(low > numbers, low, numbers)


def ends(feature: Scaled) -> tuple[float, float, bool]:
    """The range that is scaled to 0..1, and whether it is that of the logarithms."""
    if isinstance(feature, MinMaxFeature) or not feature.log:
        return feature.min, feature.max, False
    return math.log1p(max(feature.min, 0.0)), math.log1p(max(feature.max, 0.0)), True
