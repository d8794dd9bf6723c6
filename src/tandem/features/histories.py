"""What a user did before: sequences in the order of time, padded to one length, with masks."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F  # noqa: N812


def add_histories(
    rows: DataFrame,
    columns: Sequence[str],
    *,
    user: str = "user",
    time: str = "timestamp",
    ties: Sequence[str] = (),
    max_length: int = 100,
    min_length: int = 0,
) -> DataFrame:
    """The rows with ``<column>_history``: the values of the same user's earlier rows, the oldest first.

    At most the ``max_length`` latest of them; rows with fewer than ``min_length`` are left out. Rows of one user and
    time are ordered by ``ties``, which should tell any two apart. A null value is no part of a history.
    """
    earlier = Window.partitionBy(user).orderBy(time, *ties).rowsBetween(-max_length, -1)
    histories = {f"{name}_history": F.collect_list(name).over(earlier) for name in columns}
    with_histories = rows.withColumns(histories)
    if min_length <= 0 or not columns:
        return with_histories
    return with_histories.where(F.size(f"{columns[0]}_history") >= min_length)


def pad(values: Column, length: int, padding: int | float | str = 0) -> Column:
    """An array of exactly ``length``: the last values, and ``padding`` behind them where there are fewer."""
    kept = F.when(F.size(values) > length, F.slice(values, -length, length)).otherwise(values)
    known = F.coalesce(kept, F.slice(F.array(F.lit(padding)), 1, 0))
    return F.concat(known, F.array_repeat(F.lit(padding), F.lit(length) - F.size(known)))


def mask(values: Column, length: int) -> Column:
    """array<int> of ``length``: 1 where :func:`pad` has a value, 0 where it has padding."""
    known = F.least(F.coalesce(F.size(values), F.lit(0)), F.lit(length))
    return F.transform(F.sequence(F.lit(1), F.lit(length)), lambda place: (place <= known).cast("int"))
