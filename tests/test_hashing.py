"""The hashes of arrays, held to the figures that checkpoints, draws and reports were made with."""

import numpy as np
import pytest

from tandem.batches.columns import ColumnRows, held_out_numbers
from tandem.hashing import first_by_hash, hash_columns, multiply_shift, splitmix64

KEYS = np.array([5, -3, 2**40, 0, 7, 7, 12345678901, -1], np.int64)


def test_splitmix64_is_the_published_generator() -> None:
    """Steele et al. 2014: the first numbers of the generator whose seed is 0 are the hashes of its states."""
    states = np.arange(3, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert splitmix64(states).tolist() == [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


@pytest.mark.parametrize(
    ("stream", "hashes"),
    [
        (1, [7134611160154358618, 17824971123127853533, 2296115805719413641]),
        (2, [13877614986023876344, 17039259473404265729, 424587152169931438]),
        (4, [1832488697174800709, 8043341295829897994, 17212978437853178388]),
    ],
)
def test_streams_keep_their_hashes(stream: int, hashes: list[int]) -> None:
    assert splitmix64(KEYS.astype(np.uint64), stream)[:3].tolist() == hashes


def test_rows_keep_their_hashes() -> None:
    columns = [np.array([-1, 4], np.int32), np.array([2, 0], np.int32)]
    hashed = hash_columns(columns, np.full(2, 0x5851F42D4C957F2D, np.uint64), 31)
    assert hashed.tolist() == [2814620703533007191, 14292779076073250392]
    pairs, flags = np.array([1 << 32 | 7, 5 << 32 | 9], np.uint64), np.array([3, 0], np.uint64)
    assert multiply_shift(pairs, 29, add=flags).tolist() == [15190307437304341933, 893880886286861262]


def test_keys_keep_their_draw() -> None:
    assert first_by_hash(KEYS, 4).tolist() == [-1, 0, 5, 7]


def test_fingerprints_and_held_out_rows_are_what_they_were() -> None:
    ints, floats = np.arange(10, dtype=np.int32).reshape(5, 2) - 3, np.linspace(-1, 1, 5, dtype=np.float32)[:, None]
    assert ColumnRows(("a", "b"), ("c",), ints, floats).fingerprint() == 3196699769939511812
    held_out = [4, 5, 7, 12, 16, 21, 23, 27, 28, 31, 35, 37, 39]
    assert np.flatnonzero(held_out_numbers(7, 40, 0.3, 9)).tolist() == held_out
