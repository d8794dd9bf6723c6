"""The rows of a step with ``two_tower.batch_size: auto``: large batches are fast, and few steps learn nothing."""

from tandem.parameters import TwoTowerParameters

STEPS = 100
"""An epoch has at least so many steps, down to the smallest batch."""
LEAST_ROWS, MOST_ROWS = 64, 4_096


def batch_of(parameters: TwoTowerParameters, rows: int) -> int:
    """Rows of one step on all ranks together; the same for any number of ranks.

    With ``auto`` the largest power of two up to 4,096 with which an epoch has 100 steps, and no less than 64.

    rows: that all ranks train on in an epoch; for the softmax these are positives.
    """
    if parameters.batch_size != "auto":
        return parameters.batch_size
    largest = max(1, (rows - 1) // (STEPS - 1))
    return max(LEAST_ROWS, min(MOST_ROWS, 1 << (largest.bit_length() - 1)))
