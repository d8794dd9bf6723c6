"""PyTorch's random streams of an epoch."""

from typing import NamedTuple

import numpy as np
import torch

from tandem.batches.rows import EpochKey


class Streams(NamedTuple):
    """Random streams of an epoch: the rank's own, and one that draws the same on all ranks."""

    own: torch.Generator
    common: torch.Generator


def epoch_streams(key: EpochKey) -> Streams:
    """The streams of a rank in an epoch; they depend on nothing else, so a resumed run draws the same."""
    return Streams(_generator(*key), _generator(key.seed, key.epoch))


def _generator(*key: int) -> torch.Generator:
    state = np.random.SeedSequence([len(key), *key]).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state >> np.uint64(1)))
