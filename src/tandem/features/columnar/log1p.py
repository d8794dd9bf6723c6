"""``log(1 + x)`` with the bits of Java's ``StrictMath``, which Spark's ``log1p`` is: other libraries' last bits differ.

The algorithm and its constants are those of Sun's fdlibm (``s_log1p.c``), which ``StrictMath`` is defined by.
"""

from math import frexp, isfinite, ldexp

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_TINY, _SMALL = 2.0**-54, 2.0**-29
_HALF_OCTAVE = 0x3FDA827A << 32  # about sqrt(2) - 1: below it x itself is small enough
_NEAR = float(np.int64(_HALF_OCTAVE).view(np.float64))
_FRACTION = (1 << 52) - 1
_POLYNOMIAL = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)
_DESCENDING = _POLYNOMIAL[-2::-1]


def log1p(x: Doubles) -> Doubles:
    """Of numbers that are at least 0, in any shape; NaN stays NaN."""
    with np.errstate(all="ignore"):
        exponent, f, correction, high = _reduced(x)
        half_square = 0.5 * f * f
        low = exponent * _LN2_LOW + correction
        found = np.where(high == 0, _near_one(exponent, f, half_square, low), _series(exponent, f, half_square, low))
        found = np.where(x < _SMALL, np.where(x < _TINY, x, x - x * x * 0.5), found)
        return np.where(np.isfinite(x), found, x + x)


def log1p_of_one(x: float) -> float:
    """The same of one number: fdlibm's own steps, one after the other."""
    if x < _SMALL:
        return x if x < _TINY else x - x * x * 0.5
    if not isfinite(x):
        return x
    exponent, f, correction, high = 0, x, 0.0, 1
    if x >= _NEAR:
        exponent, f, correction, high = _reduced_one(x)
    half_square = 0.5 * f * f
    low = exponent * _LN2_LOW + correction
    if high == 0:
        if f == 0.0:
            return exponent * _LN2_HIGH + low
        return exponent * _LN2_HIGH - ((half_square * (1.0 - 0.66666666666666666 * f) - low) - f)
    s = f / (2.0 + f)
    z = s * s
    rest = _POLYNOMIAL[-1]
    for factor in _DESCENDING:
        rest = factor + z * rest
    rest = s * (half_square + z * rest)
    return f - (half_square - rest) if exponent == 0 else exponent * _LN2_HIGH - ((half_square - (rest + low)) - f)


def _reduced_one(x: float) -> tuple[int, float, float, int]:
    """As ``_reduced``."""
    large = x >= 2.0**53
    u = x if large else 1.0 + x
    mantissa, exponent = frexp(u)  # u is mantissa * 2^exponent, the mantissa from 1/2 up to 1
    exponent -= 1
    correction = 0.0 if large else (1.0 - (u - x) if exponent > 0 else x - (u - 1.0)) / u
    high = int(ldexp(mantissa, 21)) & 0xFFFFF
    if high < 0x6A09E:
        return exponent, mantissa * 2.0 - 1.0, correction, high
    return exponent + 1, mantissa - 1.0, correction, (0x100000 - high) >> 2


def _reduced(x: Doubles) -> tuple[Doubles, Doubles, Doubles, npt.NDArray[np.int64]]:
    """k, f and c such that 1 + x is (1 + f) * 2^k, to the precision that c corrects; and f's upper 20 bits, or 1."""
    within = x.view(np.int64) < _HALF_OCTAVE
    large = x >= 2.0**53
    u = np.where(large, x, 1.0 + x)
    bits = np.ascontiguousarray(u).view(np.int64)
    exponent = (bits >> 52) - 1023
    correction = np.where(large, 0.0, np.where(exponent > 0, 1.0 - (u - x), x - (u - 1.0)) / u)
    high = bits >> 32 & 0xFFFFF
    halved = high >= 0x6A09E
    normal = (bits & _FRACTION) | np.where(halved, 0x3FE, 0x3FF) << 52
    f = np.where(within, x, normal.view(np.float64) - 1.0)
    exponent = np.where(within, 0, exponent + halved)
    high = np.where(within, 1, np.where(halved, (0x100000 - high) >> 2, high))
    return exponent.astype(np.float64), f, np.where(within, 0.0, correction), high


def _near_one(exponent: Doubles, f: Doubles, half_square: Doubles, low: Doubles) -> Doubles:
    """Where f is below 2^-20; the exponent is never 0 here, as x would be small then and have bits of its own."""
    rest = half_square * (1.0 - 0.66666666666666666 * f)
    series = exponent * _LN2_HIGH - ((rest - low) - f)
    return np.where(f == 0.0, exponent * _LN2_HIGH + low, series)


def _series(exponent: Doubles, f: Doubles, half_square: Doubles, low: Doubles) -> Doubles:
    s = f / (2.0 + f)
    z = s * s
    rest = np.full_like(z, _POLYNOMIAL[-1])
    for factor in _DESCENDING:
        rest = factor + z * rest
    rest = s * (half_square + z * rest)
    plain = f - (half_square - rest)
    return np.where(exponent == 0.0, plain, exponent * _LN2_HIGH - ((half_square - (rest + low)) - f))
