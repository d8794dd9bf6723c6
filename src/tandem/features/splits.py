"""Which interactions train and which test.

Every function adds (or refines) the column ``split`` and is a function of the rows alone: neither the partitioning nor
the order of the input changes a row's side. The input has one row per (user, item).
"""

from typing import Literal

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features.draws import seeded_hash

SplitMethod = Literal["random", "leave_one_out", "temporal", "given"]

TRAIN = "train"
VALIDATION = "validation"
TEST = "test"

# floor(n * fraction) must be 29, not 28, for 100 * 0.29 = 28.999999999999996.
_ROUNDING = 1e-9


def split_interactions(interactions: DataFrame, method: SplitMethod, test_fraction: float, seed: int) -> DataFrame:
    """The interactions with ``split``, ``"train"`` or ``"test"``.

    - ``random``: of each user's n rows, floor(n * test_fraction) are test, those with the smallest seeded hash of
      (user, item). A user with one row is all training.
    - ``leave_one_out``: each user's latest row is test; of several at one time the one with the smallest
      hash of (user, item). A user with one row is all training. ``test_fraction`` and ``seed`` play no part.
    - ``temporal``: the latest ``test_fraction`` of all rows, cut at one point in time. Rows at that very time are all
      training, so the test part may be smaller than asked for. Users seen only after the cut stay in test, as unknown.
    - ``given``: as the column ``split`` of the interactions says, ``"validation"`` rows included. ``test_fraction`` and
      ``seed`` play no part.

    Without times, ``leave_one_out`` draws each user's row. Raises ``UserError`` for ``temporal`` when no row is later
    than the cut (that method runs one small job), and for ``given`` without such a column.
    """
    if method == "given":
        return _as_given(interactions)
    if method == "temporal":
        is_test = F.col("timestamp") > _time_cut(interactions, test_fraction)
    elif method == "leave_one_out":
        is_test = _is_latest(F.lit(True))
    else:
        is_test = _is_drawn(F.lit(True), test_fraction, seed, "split")
    return interactions.withColumn("split", F.when(is_test, TEST).otherwise(TRAIN))


def validation_split(with_split: DataFrame, method: SplitMethod, fraction: float, seed: int) -> DataFrame:
    """The same rows, with a part of the training rows marked ``"validation"``; test rows stay as they are.

    ``random`` and ``temporal`` hold out floor(n * fraction) of each user's n training rows, drawn by hash;
    ``leave_one_out`` each user's latest training row, so that the validation asks the question of the test. A user
    with one training row keeps it. Of a ``given`` split with rows for validation these stay, and are all there are; one
    without is treated as ``random`` is. To look, that method runs one small job.
    """
    if method == "given" and with_split.where(F.col("split") == VALIDATION).take(1):
        return with_split
    in_train = F.col("split") == TRAIN
    if method == "leave_one_out":
        held_out = _is_latest(in_train)
    else:
        held_out = _is_drawn(in_train, fraction, seed, "validation split")
    return with_split.withColumn("split", F.when(in_train & held_out, VALIDATION).otherwise(F.col("split")))


def check_parts(with_split: DataFrame, method: SplitMethod, *, validated: bool) -> None:
    """Raise ``UserError`` when the split leaves no test rows, or (``validated``) no validation rows; one small job.

    Either comes of users with few rows each, however many users there are, and would be met only after the training.
    """
    found = with_split.agg(*(F.bool_or(F.col("split") == part).alias(part) for part in (TEST, VALIDATION))).first()
    tested = found is not None and found[TEST]
    if method == "given" and not tested:
        raise UserError(
            "ncf.split: given leaves no rows to test on: none of the interactions is marked test in the log's own "
            "split; mark some, or use another split"
        )
    if not tested:
        raise UserError(
            f"ncf.split: {method} leaves no rows to test on: no user has enough interactions; "
            + ("use another split" if method == "leave_one_out" else "raise ncf.test_fraction or use another split")
        )
    if validated and (found is None or not found[VALIDATION]):
        raise UserError(
            "ncf.validation_fraction: no user has enough training rows to hold one out, which early stopping needs; "
            "raise it, or set ncf.early_stopping to null"
        )


def _is_drawn(among: Column, fraction: float, seed: int, purpose: str) -> Column:
    """True for floor(n * fraction) of each user's n rows ``among`` which to draw, never for all of them."""
    user = Window.partitionBy("user_id")
    by_hash = user.orderBy(
        among.desc(), seeded_hash(seed, purpose, F.col("user_id"), F.col("item_id")), F.col("item_id")
    )
    rows = F.count_if(among).over(user)
    wanted = F.least(F.floor(rows * F.lit(fraction) + F.lit(_ROUNDING)), rows - 1)
    return F.row_number().over(by_hash) <= wanted


def _is_latest(among: Column) -> Column:
    """True for each user's latest row ``among`` those, unless it is the only one.

    Ties are drawn: users rate pages of items within a second, and ids follow the items' age. By the id the test rows
    would be newer and less popular items than users took last.
    """
    user = Window.partitionBy("user_id")
    draw = seeded_hash(0, "latest", F.col("user_id"), F.col("item_id"))
    by_time = user.orderBy(among.desc(), F.col("timestamp").desc(), draw, F.col("item_id"))
    return (F.row_number().over(by_time) == 1) & (F.count_if(among).over(user) > 1)


def _as_given(interactions: DataFrame) -> DataFrame:
    if "split" not in interactions.columns:
        raise UserError(
            "ncf.split: given needs the log's own split, and it has none; name its column or its files "
            "(tables.interactions), or use random, leave_one_out or temporal"
        )
    return interactions.withColumn("split", F.coalesce("split", F.lit(TRAIN)))


def _time_cut(interactions: DataFrame, test_fraction: float) -> int:
    """The earliest time that leaves at most ``test_fraction`` of the rows after it, in seconds."""
    train_share = round(1.0 - test_fraction, 12)
    (row,) = interactions.agg(
        F.expr(f"percentile_disc({train_share!r}) WITHIN GROUP (ORDER BY timestamp)").alias("cut"),
        F.max("timestamp").alias("last"),
    ).collect()
    if row["cut"] is None or row["cut"] >= row["last"]:
        raise UserError(
            f"split: temporal finds no interaction in the latest {test_fraction:g} of the rows that is later than all "
            "others (too few rows, or too many with the same time); use split: random or leave_one_out"
        )
    return int(row["cut"])
