"""The items' shares of the training rows, exact and in memory of a fixed size."""

from typing import Any

import numpy as np
import pytest

from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.two_tower.item_frequencies import ItemFrequencies, SketchedFrequencies

EVERYONE = np.random.default_rng(0).zipf(1.3, 20_000) % 3_000 - 1_500


class Two(SingleRank):
    """Where the other rank has the same rows, but for the first in what is gathered."""

    size = 2

    def allgather(self, array: Any) -> Any:
        return np.concatenate([array, array[1:]])

    def allreduce_sum_(self, tensor: Any) -> Any:
        return tensor + tensor

    def allreduce_scalars(self, values: Any) -> dict[str, float]:
        return {name: 2.0 * value for name, value in values.items()}


def test_frequencies_are_those_of_the_rows_of_all_ranks() -> None:
    frequencies = ItemFrequencies.of(np.array([3, -7, 3, 3, 11]), Two())
    assert frequencies.keys.tolist() == [-7, 3, 11]
    assert np.allclose(frequencies.shares, [1 / 9, 6 / 9, 2 / 9])
    assert np.allclose(frequencies.of_items(np.array([11, -7, 11])), [2 / 9, 1 / 9, 2 / 9])


def test_a_wide_sketch_is_exact_whatever_the_blocks() -> None:
    exact = ItemFrequencies.of(EVERYONE, SingleRank())
    sketched = SketchedFrequencies.of(np.array_split(EVERYONE, 7), 1 << 20, SingleRank())
    np.testing.assert_allclose(sketched.of_items(exact.keys), exact.shares, rtol=0.02)


def test_a_narrow_sketch_tells_frequent_items_from_rare_ones() -> None:
    exact = ItemFrequencies.of(EVERYONE, SingleRank())
    assert len(exact.keys) > 1_500
    shares = SketchedFrequencies.of([EVERYONE], 1_000, SingleRank()).of_items(exact.keys)
    frequent = exact.shares > 100 / len(EVERYONE)
    assert 20 < frequent.sum() < 100
    np.testing.assert_allclose(shares[frequent], exact.shares[frequent], rtol=0.2)
    assert shares.min() == 1 / len(EVERYONE)
    assert np.median(shares[~frequent]) < 5 * np.median(exact.shares[~frequent])


def test_a_sketch_adds_up_the_rows_of_all_ranks() -> None:
    once = SketchedFrequencies.of([EVERYONE], 1_000, SingleRank())
    twice = SketchedFrequencies.of([EVERYONE], 1_000, Two())
    np.testing.assert_array_equal(twice.counts, 2 * once.counts)
    assert twice.rows == 2 * once.rows == 2 * len(EVERYONE)
    items = np.unique(EVERYONE)
    assert twice.of_items(items)[items == 1 - 1_500] == pytest.approx(once.of_items(items)[items == 1 - 1_500])
