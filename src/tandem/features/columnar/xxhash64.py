"""xxHash64 as Spark's ``xxhash64`` has it, of many values at once: hashes are chained, and null leaves one as it is.

Yann Collet's XXH64; Spark's ``XXH64.java`` takes an int and a long of one value for two, and a text by its UTF-8 bytes.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

SEED = 42
"""What Spark's function starts with."""

Hashes = npt.NDArray[np.uint64]

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
_BLOCK = 32
# Rows hashed at a time: what they need in between stays in a core's cache.
_ROWS = 16_384


def hash_texts(texts: pa.Array, seed: int | Hashes = SEED) -> Hashes:
    """Hashes of a string or binary array, [n]; ``seed`` may be the hashes so far, [n]."""
    hashes = np.broadcast_to(np.asarray(seed, np.uint64), len(texts)).copy()
    data, offsets = _bytes(texts)
    lengths = np.diff(offsets)
    valid = np.asarray(texts.is_valid())
    order = np.flatnonzero(valid)[np.argsort(lengths[valid], kind="stable")]
    bounds = np.flatnonzero(np.diff(lengths[order])) + 1
    with np.errstate(over="ignore"):
        for same in np.split(order, bounds):
            for start in range(0, len(same), _ROWS):
                rows = same[start : start + _ROWS]
                places = offsets[rows][:, None] + np.arange(lengths[rows[0]], dtype=np.int64)
                hashes[rows] = _of_equal_lengths(data[places], hashes[rows])
    return hashes


def hash_longs(values: pa.Array, seed: int | Hashes = SEED) -> Hashes:
    """Hashes of an array of integers, each taken for a long, [n]."""
    seeds = np.broadcast_to(np.asarray(seed, np.uint64), len(values))
    words = values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False).view(np.uint64)
    with np.errstate(over="ignore"):
        hashes = _avalanched(_with_word(seeds + _u(_P5) + _u(8), words))
    return np.where(np.asarray(values.is_valid()), hashes, seeds)


def hash_text(text: bytes, seed: int = SEED) -> int:
    """The hash of one text, as an unsigned number: for a few, where arrays cost more than they save."""
    end, place = len(text), 0
    if end >= _BLOCK:
        lanes = [(seed + _P1 + _P2) & _MASK, (seed + _P2) & _MASK, seed, (seed - _P1) & _MASK]
        while place <= end - _BLOCK:
            for lane in range(4):
                lanes[lane] = _round(lanes[lane], int.from_bytes(text[place : place + 8], "little"))
                place += 8
        found = sum(_rotated(lane, turn) for lane, turn in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
        for lane in lanes:
            found = ((found ^ _round(0, lane)) * _P1 + _P4) & _MASK
    else:
        found = (seed + _P5) & _MASK
    return _finished((found + end) & _MASK, text[place:])


def signed(hashes: Hashes) -> npt.NDArray[np.int64]:
    """The hashes as Spark's longs."""
    return hashes.view(np.int64)


def _finished(found: int, rest: bytes) -> int:
    place = 0
    while place + 8 <= len(rest):
        found ^= _round(0, int.from_bytes(rest[place : place + 8], "little"))
        found = (_rotated(found, 27) * _P1 + _P4) & _MASK
        place += 8
    if place + 4 <= len(rest):
        found ^= (int.from_bytes(rest[place : place + 4], "little") * _P1) & _MASK
        found = (_rotated(found, 23) * _P2 + _P3) & _MASK
        place += 4
    for byte in rest[place:]:
        found = (_rotated(found ^ (byte * _P5 & _MASK), 11) * _P1) & _MASK
    found = ((found ^ found >> 33) * _P2) & _MASK
    found = ((found ^ found >> 29) * _P3) & _MASK
    return found ^ found >> 32


def _round(lane: int, word: int) -> int:
    return (_rotated((lane + word * _P2) & _MASK, 31) * _P1) & _MASK


def _rotated(number: int, bits: int) -> int:
    return (number << bits | number >> (64 - bits)) & _MASK


def _u(number: int) -> np.uint64:
    return np.uint64(number)


def _bytes(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """All bytes, and where each text begins and ends, [n + 1]."""
    texts = texts.cast(pa.large_binary())
    _, offsets, data = texts.buffers()
    begin, end = texts.offset, texts.offset + len(texts) + 1
    empty = np.zeros(0, np.uint8)
    return (empty if data is None else np.frombuffer(data, np.uint8)), np.frombuffer(offsets, np.int64)[begin:end]


def _of_equal_lengths(matrix: npt.NDArray[np.uint8], seeds: Hashes) -> Hashes:
    """Hashes of texts of one length, uint8 [rows, length]."""
    length = matrix.shape[1]
    words = np.ascontiguousarray(matrix[:, : length // 8 * 8]).view("<u8")
    blocked = length // _BLOCK * 4
    hashes = _of_blocks(words[:, :blocked], seeds) if blocked else seeds + _u(_P5)
    hashes = hashes + _u(length)
    for word in words[:, blocked:].T:
        hashes = _with_word(hashes, word)
    place = length // 8 * 8
    if place + 4 <= length:
        half = np.ascontiguousarray(matrix[:, place : place + 4]).view("<u4")[:, 0].astype(np.uint64)
        hashes = _turned(hashes ^ half * _u(_P1), 23) * _u(_P2) + _u(_P3)
        place += 4
    for byte in matrix[:, place:].T:
        hashes = _turned(hashes ^ byte.astype(np.uint64) * _u(_P5), 11) * _u(_P1)
    return _avalanched(hashes)


def _of_blocks(words: npt.NDArray[Any], seeds: Hashes) -> Hashes:
    lanes = [seeds + _u((_P1 + _P2) & _MASK), seeds + _u(_P2), seeds, seeds - _u(_P1)]
    for place, word in enumerate(words.T):
        lanes[place % 4] = _mixed(lanes[place % 4], word)
    hashes = _turned(lanes[0], 1) + _turned(lanes[1], 7) + _turned(lanes[2], 12) + _turned(lanes[3], 18)
    for lane in lanes:
        hashes = (hashes ^ _mixed(_u(0), lane)) * _u(_P1) + _u(_P4)
    return hashes


def _with_word(hashes: Hashes, word: Hashes) -> Hashes:
    return _turned(hashes ^ _mixed(_u(0), word), 27) * _u(_P1) + _u(_P4)


def _mixed(lanes: Hashes | np.uint64, words: Hashes) -> Hashes:
    return _turned(lanes + words * _u(_P2), 31) * _u(_P1)


def _turned(numbers: Hashes, bits: int) -> Hashes:
    return numbers << _u(bits) | numbers >> _u(64 - bits)


def _avalanched(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ hashes >> _u(33)) * _u(_P2)
    hashes = (hashes ^ hashes >> _u(29)) * _u(_P3)
    return hashes ^ hashes >> _u(32)
