"""A generated MovieLens in the published file formats of ml-100k: seeded, any size, and with something to learn.

The same seed and size give the same bytes. Memory is bounded by the chunk of users that is drawn at a time, not by the
number of ratings.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pyarrow import csv

from tandem.errors import UserError
from tandem.sources.movielens_names import ML_100K_GENRES, ML_100K_OCCUPATIONS
from tandem.sources.staging import staged_folder
from tandem.sources.synthetic_tastes import (
    Floats,
    Ints,
    Items,
    Users,
    affinity,
    draw_activity,
    draw_items,
    draw_users,
)

SYNTHETIC_FILES = ("u.data", "u.user", "u.item", "u.genre", "u.info", "u.occupation")
_MARKER = "GENERATED"

_CELLS_PER_CHUNK = 2_000_000
_FIRST_DAY = 874_724_710  # 1997-09-20, as in ml-100k
_LAST_DAY = 893_286_638  # 1998-04-22
_SECONDS_BETWEEN_RATINGS = 45.0
_TITLE_WORDS = (
    "Silent Golden Broken Last Distant Burning Hidden Northern Crimson Paper Winter Electric Lonely Stolen Midnight "
    "Forgotten Gentle Savage Étrange Blue Wandering Naïve Iron Velvet Sudden Perfect Bitter Little Second Unseen",
    "Harbour Letters Café River Summer Señor Garden Empire Promise Road Children Witness Orchard Island Shadow "
    "Kingdom Stranger Fête Mirror Express Detective Highway Melody Über Machine Horizon Heart Circus Library Storm",
)
_TITLE_FIRST, _TITLE_SECOND = (words.split() for words in _TITLE_WORDS)


def write_synthetic_movielens(out: Path, *, users: int, items: int, ratings: int, seed: int) -> Path:
    """Write ``u.data``, ``u.user``, ``u.item``, ``u.genre``, ``u.info`` and ``u.occupation`` to the folder ``out``.

    Ids run from 1; the counts are exact; no (user, item) pair comes twice; the rows of a user stand together, in the
    order of their timestamps. All files appear at once, or none does; a set that was generated before is replaced.

    Raises:
        UserError: impossible sizes, ``out`` holds files that were not generated here, or cannot be written.
    """
    _check_sizes(users, items, ratings, seed)
    _check_ours(out)
    item_seed, user_seed, activity_seed, rating_seed = np.random.SeedSequence(seed).spawn(4)
    catalogue = draw_items(items, np.random.default_rng(item_seed))
    people_rng = np.random.default_rng(user_seed)
    people = draw_users(users, people_rng)
    activity = draw_activity(users, items, ratings, np.random.default_rng(activity_seed))
    with staged_folder(out) as folder:
        _write_lines(folder / _MARKER, [f"{users} users, {items} items, {ratings} ratings, seed {seed}; no real data"])
        _write_ratings(folder / "u.data", draw_ratings(people, catalogue, activity, rating_seed))
        _write_lines(folder / "u.user", _user_lines(people, people_rng))
        _write_lines(folder / "u.item", _item_lines(catalogue))
        _write_lines(folder / "u.genre", [*(f"{name}|{index}" for index, name in enumerate(ML_100K_GENRES)), ""])
        _write_lines(folder / "u.info", [f"{users} users", f"{items} items", f"{ratings} ratings"])
        _write_lines(folder / "u.occupation", ML_100K_OCCUPATIONS)
    return out


def draw_ratings(
    users: Users, items: Items, activity: Ints, seed: np.random.SeedSequence, *, cells: int = _CELLS_PER_CHUNK
) -> Iterator[Ints]:
    """Yield chunks of rows (n, 4): user, item (both from 1), rating 1..5, seconds.

    A user's items are drawn without replacement, with probabilities proportional to exp(appeal + affinity): the
    Gumbel-top-k trick (Kool et al. 2019). Every draw has a stream of its own, so that ``cells``, the size of a chunk,
    changes nothing.
    """
    choice, order, opinion, start, pause = (np.random.default_rng(child) for child in seed.spawn(5))
    step = max(1, cells // len(items.appeal))
    quality = opinion.standard_normal(len(items.appeal))
    for first in range(0, len(activity), step):
        counts = activity[first : first + step]
        fit = affinity(users.vectors[first : first + step], items.vectors)
        keys = fit + items.appeal - np.log(choice.standard_exponential(fit.shape))
        chosen = [np.argpartition(-row, k - 1)[:k] if k else _NOTHING for row, k in zip(keys, counts, strict=True)]
        rows = np.repeat(np.arange(len(counts)), counts)
        columns = np.concatenate(chosen)
        columns = columns[np.lexsort((columns, rows))]
        columns = columns[np.lexsort((order.random(len(rows)), rows))]
        stars = _stars(fit[rows, columns], quality[columns], opinion)
        starts = start.integers(_FIRST_DAY, _LAST_DAY, len(counts))
        seconds = _timestamps(starts, counts, pause.standard_exponential(len(rows)))
        yield np.column_stack((first + rows + 1, columns + 1, stars, seconds))


_NOTHING = np.empty(0, dtype=np.int64)


def _stars(fit: Floats, quality: Floats, rng: np.random.Generator) -> Ints:
    """1..5, mean about 3.5: better where the item is good, fits the user, and by mood."""
    # Those who chose an item like it more than the average user would: fit is positive on average.
    opinion = 3.25 + 0.25 * fit + 0.45 * quality + 0.75 * rng.standard_normal(len(fit))
    return np.clip(np.rint(opinion), 1, 5).astype(np.int64)


def _timestamps(starts: Ints, counts: Ints, pauses: Floats) -> Ints:
    """Each user rates in one sitting that begins at its start; ascending within a user, ties possible."""
    running = np.cumsum(np.floor(pauses * _SECONDS_BETWEEN_RATINGS).astype(np.int64))
    before = np.concatenate(([0], running))[np.cumsum(counts) - counts]
    return np.repeat(starts - before, counts) + running


def _check_sizes(users: int, items: int, ratings: int, seed: int) -> None:
    for name, value in (("users", users), ("items", items), ("ratings", ratings)):
        if value < 1:
            raise UserError(f"synthetic MovieLens: {name} must be at least 1, not {value}")
    if ratings > users * items:
        raise UserError(
            f"synthetic MovieLens: {ratings} ratings do not fit {users} users x {items} items without a repetition; "
            f"ask for at most {users * items}, or for more users or items"
        )
    if seed < 0:
        raise UserError(f"synthetic MovieLens: seed must not be negative, but is {seed}")


def _check_ours(out: Path) -> None:
    """Only what was generated before may be replaced: a user's own files must survive a mistyped folder."""
    if out.is_dir():
        names = {entry.name for entry in out.iterdir()}
        if not names or (_MARKER in names and names <= {*SYNTHETIC_FILES, _MARKER}):
            return
        raise UserError(f"{out} holds files that were not generated; choose an empty or a new folder")
    if out.exists():
        raise UserError(f"{out} is a file; choose an empty or a new folder")


def _write_ratings(path: Path, chunks: Iterator[Ints]) -> None:
    columns = ("user", "item", "rating", "timestamp")
    options = csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    schema = pa.schema([(name, pa.int64()) for name in columns])
    with csv.CSVWriter(path, schema, write_options=options) as writer:
        for rows in chunks:
            writer.write_table(pa.table(dict(zip(columns, rows.T.copy(), strict=True)), schema=schema))


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="latin-1", newline="\n")


def _user_lines(users: Users, rng: np.random.Generator) -> Iterator[str]:
    """``user|age|gender|occupation|zip code``; most zip codes are shared by a few users, some have letters."""
    regions = max(1, len(users.ages) * 5 // 6)
    prefixes = rng.integers(0, 100_000, regions)
    foreign = rng.random(regions) < 0.02
    codes = [
        f"{chr(65 + code % 26)}{code % 10}{chr(65 + code % 23)}{code % 7}{chr(65 + code % 19)}"
        if far
        else f"{code:05d}"
        for code, far in zip(prefixes.tolist(), foreign.tolist(), strict=True)
    ]
    homes = rng.integers(0, regions, len(users.ages)).tolist()
    columns = zip(users.ages.tolist(), users.female.tolist(), users.occupations.tolist(), homes, strict=True)
    for user, (age, female, occupation, home) in enumerate(columns, start=1):
        yield f"{user}|{age}|{'F' if female else 'M'}|{ML_100K_OCCUPATIONS[occupation]}|{codes[home]}"


def _item_lines(items: Items) -> Iterator[str]:
    """``item|title (year)|release date|video date|address|19 flags``, with no video date, as published."""
    for index, (year, flags) in enumerate(zip(items.years.tolist(), items.genres.astype(int).tolist(), strict=True)):
        title = f"{_title(index)} ({year})"
        yield "|".join(
            (str(index + 1), title, f"01-Jan-{year}", "", f"http://example.org/{index + 1}", *map(str, flags))
        )


def _title(index: int) -> str:
    """A title for each item; the names repeat with a number once all pairs of words are used."""
    part, pair = divmod(index, len(_TITLE_FIRST) * len(_TITLE_SECOND))
    # 31 is coprime to 900 pairs: neighbours in the file share no word.
    first, second = divmod(pair * 31 % (len(_TITLE_FIRST) * len(_TITLE_SECOND)), len(_TITLE_SECOND))
    return f"{_TITLE_FIRST[first]} {_TITLE_SECOND[second]}" + (f" {part + 1}" if part else "")
