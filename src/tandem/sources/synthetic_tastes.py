"""Who the generated users are and what the generated items are: the model behind the synthetic MovieLens.

A user chooses by the popularity of an item and by how well its latent vector fits the user's own. Side features say
something about both vectors, but not everything: genres are noisy readings of an item's vector; gender, age and
occupation shift a user's. So popularity beats chance, a factor model beats popularity, and side features help a little.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tandem.sources.movielens_names import ML_100K_GENRES, ML_100K_OCCUPATIONS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# In the order of ML_100K_GENRES: about how many of 250 items have the genre. Nothing is "unknown".
_GENRE_WEIGHTS = np.array([0, 25, 13, 4, 12, 50, 11, 5, 72, 2, 2, 9, 6, 6, 25, 10, 25, 7, 3], dtype=np.float64)
_DIMENSIONS = 12
_YEARS = (1930, 1998)

# Tuned so that popularity and EASE rank held-out items about as well as they do on ml-100k (NDCG@10 0.21 and 0.45).
_POPULARITY_EXPONENT = 1.95
_POPULARITY_OFFSET = 0.035
_TASTE_SCALE = 1.55
_GENRE_SHARE = 0.55
_DEMOGRAPHIC_SHARE = 0.2


@dataclass(frozen=True)
class Items:
    """``vectors`` (items, dimensions), ``appeal`` (items,), ``genres`` (items, genres), ``years`` (items,)."""

    vectors: Floats
    appeal: Floats
    genres: NDArray[np.bool_]
    years: Ints


@dataclass(frozen=True)
class Users:
    """``vectors`` (users, dimensions), ``female`` (users,), ``ages`` in years, ``occupations`` as indices (users,)."""

    vectors: Floats
    female: NDArray[np.bool_]
    ages: Ints
    occupations: Ints


def draw_items(count: int, rng: np.random.Generator) -> Items:
    """Items whose genres are read off their latent vectors with noise, and whose appeal has a long tail."""
    genres = _draw_genres(count, rng)
    centroids = rng.standard_normal((len(ML_100K_GENRES), _DIMENSIONS))
    from_genres = _unit_variance(genres @ centroids / np.sqrt(genres.sum(axis=1, keepdims=True)))
    own = rng.standard_normal((count, _DIMENSIONS))
    age = rng.gamma(1.2, 8.0, count).astype(np.int64)
    years = np.clip(_YEARS[1] - age, *_YEARS)
    vectors = np.sqrt(_GENRE_SHARE) * from_genres + np.sqrt(1 - _GENRE_SHARE) * own
    # One dimension is the era of an item, and the age of a user leans on it.
    vectors[:, 0] = _unit_variance(years.astype(np.float64)[:, None])[:, 0]
    place = rng.permutation(count) / count
    appeal = -_POPULARITY_EXPONENT * np.log(place + _POPULARITY_OFFSET)
    return Items(vectors, appeal, genres, years)


def draw_users(count: int, rng: np.random.Generator) -> Users:
    """Users whose gender, age and occupation shift their tastes."""
    female = rng.random(count) < 0.29
    ages = np.clip(rng.gamma(4.0, 6.5, count) + 8, 7, 73).astype(np.int64)
    occupations = rng.choice(len(ML_100K_OCCUPATIONS), count, p=_occupation_shares())
    gender_shift = rng.standard_normal((2, _DIMENSIONS))
    occupation_shift = rng.standard_normal((len(ML_100K_OCCUPATIONS), _DIMENSIONS))
    shift = gender_shift[female.astype(np.int64)] + occupation_shift[occupations]
    shift[:, 0] -= (ages - ages.mean()) / 8.0
    own = rng.standard_normal((count, _DIMENSIONS))
    vectors = np.sqrt(_DEMOGRAPHIC_SHARE) * _unit_variance(shift) + np.sqrt(1 - _DEMOGRAPHIC_SHARE) * own
    return Users(vectors, female, ages, occupations)


def affinity(users: Floats, items: Floats) -> Floats:
    """How well items (I, D) fit users (U, D): (U, I), in units of a log choice weight."""
    fit: Floats = (users @ items.T) * (_TASTE_SCALE / np.sqrt(_DIMENSIONS))
    return fit


def draw_activity(users: int, items: int, ratings: int, rng: np.random.Generator) -> Ints:
    """How many items each user rates: long-tailed, with the sum ``ratings`` and none above ``items``.

    Everybody gets up to 20 (MovieLens' own threshold) where half of the ratings suffice for it. Nobody takes more
    than half of the catalogue unless the ratings cannot be placed otherwise.
    """
    floor = min(20, items, -(-ratings // (2 * users)), ratings // users)
    ceiling = max(items // 2, min(items, -(-ratings * 5 // (users * 4))), floor)
    weights = rng.lognormal(0.0, 1.0, users)
    counts = np.full(users, floor, dtype=np.int64)
    missing = ratings - floor * users
    while missing > 0:
        room = np.flatnonzero(counts < ceiling)
        share = np.floor(missing * weights[room] / weights[room].sum()).astype(np.int64)
        if share.sum() == 0:
            # Less than one each is left: one more for the most active.
            share[np.argsort(-weights[room], kind="stable")[:missing]] = 1
        grown = np.minimum(counts[room] + share, ceiling)
        missing -= int((grown - counts[room]).sum())
        counts[room] = grown
    return counts


def _draw_genres(count: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """One to three genres an item, none of them "unknown": (items, genres)."""
    number = rng.choice([1, 2, 3], count, p=[0.5, 0.32, 0.18])
    with np.errstate(divide="ignore"):
        keys = np.log(_GENRE_WEIGHTS) - np.log(rng.standard_exponential((count, len(ML_100K_GENRES))))
    order = np.argsort(-keys, axis=1, kind="stable")
    genres = np.zeros((count, len(ML_100K_GENRES)), dtype=np.bool_)
    np.put_along_axis(genres, order[:, :3], np.arange(3) < number[:, None], axis=1)
    return genres


def _occupation_shares() -> Floats:
    shares = 1.0 / (1.0 + np.argsort(np.argsort(ML_100K_OCCUPATIONS[::-1])))
    normalised: Floats = shares / shares.sum()
    return normalised


def _unit_variance(columns: Floats) -> Floats:
    centred: Floats = columns - columns.mean(axis=0)
    deviation = centred.std(axis=0)
    standard: Floats = centred / np.where(deviation > 0, deviation, 1.0)
    return standard
