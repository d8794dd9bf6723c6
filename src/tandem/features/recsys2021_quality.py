"""What RecSys 2021 rows are like, for the people who rely on what is trained on them."""

import time
from collections.abc import Mapping
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.features.recsys2021_rows import IDS
from tandem.features.recsys2021_spec import VOCABULARIES
from tandem.features.vocabulary import UNKNOWN


def data_quality(
    train: DataFrame, test: DataFrame, encoded_test: DataFrame, now: int | None = None
) -> dict[str, dict[str, Any]]:
    """An account of the cleaned ``train`` and ``test`` rows.

    For each: ``rows``, ``label_rate`` (None without rows), ``duplicate_rows`` (of a user and tweet that another row has
    too), ``future_timestamps`` (rows with a time after ``now`` in seconds, by default this moment), ``empty_ids`` (rows
    without user, tweet or author). For test also ``unknown``: of the rows of ``encoded_test``, the share whose value
    has no id, by column; an empty list is one of them.
    """
    moment = int(time.time()) if now is None else now
    (unknown,) = encoded_test.agg(
        *(F.mean((F.col(name) == UNKNOWN).cast("int")).alias(name) for name in VOCABULARIES)
    ).collect()
    found = train.select(*_kept("train")).unionByName(test.select(*_kept("test")))
    pairs = found.groupBy("part", "pair").agg(
        F.count("*").alias("rows"),
        F.sum("label").alias("positives"),
        F.count_if(F.col("latest_timestamp") > moment).alias("future_timestamps"),
        F.sum("without_id").alias("empty_ids"),
    )
    totals = pairs.groupBy("part").agg(
        F.sum("rows").alias("rows"),
        F.sum("positives").alias("positives"),
        (F.sum("rows") - F.count("*")).alias("duplicate_rows"),
        F.sum("future_timestamps").alias("future_timestamps"),
        F.sum("empty_ids").alias("empty_ids"),
    )
    parts = {row["part"]: _account(row.asDict()) for row in totals.collect()}
    empty = _account({"rows": 0, "positives": 0, "duplicate_rows": 0, "future_timestamps": 0, "empty_ids": 0})
    return {
        "train": parts.get("train", empty),
        "test": {**parts.get("test", empty), "unknown": unknown.asDict()},
    }


def with_files(quality: dict[str, Any], read: Mapping[str, tuple[int, int | None]], all_kept: bool) -> dict[str, Any]:
    """The account with what was read for it, by half: ``files``, and ``rows_in_files``, None where no footer tells.

    read: these two by half.

    Raises:
        UserError: there are other rows than in the files; fewer are right where not ``all_kept``.
    """
    found = dict(quality)
    for name, (files, in_them) in read.items():
        rows = quality[name]["rows"]
        if in_them is not None and (rows > in_them or (all_kept and rows < in_them)):
            raise UserError(
                f"recsys2021_path: the files of {name} have {in_them:,} rows, and {rows:,} were prepared; they may "
                "have changed meanwhile: run the data_processing pipeline again"
            )
        found[name] = {**quality[name], "files": files, "rows_in_files": in_them}
    return found


def summary(quality: dict[str, Any]) -> str:
    """One line of it."""
    train, test = quality["train"], quality["test"]
    unknown = ", ".join(f"{name} {share:.0%}" for name, share in test["unknown"].items() if share >= 0.005)
    texts = [f"{train['rows']:,} training rows{_of(train)} and {test['rows']:,} test rows{_of(test)}"]
    if train["label_rate"] is not None:
        texts.append(f"{train['label_rate']:.1%} of training positive")
    if unknown:
        texts.append(f"unknown in test: {unknown}")
    for name, what in (
        ("duplicate_rows", "of a pair seen before"),
        ("future_timestamps", "with a time in the future"),
        ("empty_ids", "without an id"),
    ):
        if number := train[name] + test[name]:
            texts.append(f"{number:,} rows {what}")
    return "; ".join(texts)


def _of(part: dict[str, Any]) -> str:
    if "files" not in part:
        return ""
    in_them = part["rows_in_files"]
    whole = f", which have {in_them:,}" if in_them not in (None, part["rows"]) else ""
    return f" (of {part['files']} file{'s' if part['files'] > 1 else ''}{whole})"


def _kept(part: str) -> list[Column]:
    without = [F.col(name) == "" for name in IDS]
    return [
        F.lit(part).alias("part"),
        F.xxhash64("user_id", "tweet_id").alias("pair"),
        F.col("label"),
        F.col("latest_timestamp"),
        (without[0] | without[1] | without[2]).cast("int").alias("without_id"),
    ]


def _account(row: dict[str, Any]) -> dict[str, Any]:
    rows, positives = row["rows"], row["positives"]
    return {
        "rows": rows,
        "label_rate": positives / rows if rows else None,
        **{name: row[name] for name in ("duplicate_rows", "future_timestamps", "empty_ids")},
    }
