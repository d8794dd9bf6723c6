"""Writing a generated RecSys Challenge 2021: seeded, any size, the same rows whatever the partitioning.

The rows are made where they are written; the driver keeps a histogram of 16,384 probabilities and nothing else.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F  # noqa: N812

from tandem.errors import UserError
from tandem.parameters.data import FEWEST_ROWS
from tandem.sources.recsys2021_format import NAMES, SEPARATOR
from tandem.sources.recsys2021_manifest import MANIFEST, VERSION, Kind, Manifest
from tandem.sources.staging import staged_folder
from tandem.sources.synthetic_recsys2021_draws import Draws
from tandem.sources.synthetic_recsys2021_planted import Planted
from tandem.sources.synthetic_recsys2021_unique import Unique
from tandem.storage.locations import spark_address
from tandem.storage.parquet import read_footer

TRAIN, TEST = "train", "test"
TEST_SHARE = 0.2

_ROWS_PER_FILE: dict[Kind, int] = {"planted": 500_000, "noise": 500_000, "unique": 100_000}
_BINS = 16_384


def write_synthetic_recsys2021(
    spark: SparkSession, out: Path, *, rows: int, kind: Kind = "planted", seed: int = 42, raw: bool = False
) -> Manifest:
    """Write ``train/``, ``test/`` and ``planted.json`` to the folder ``out``, all at once or none.

    Args:
        spark: the session.
        out: the folder; what was generated there before is replaced.
        rows: train and test together, at least 100.
        kind: ``planted``, ``noise`` or ``unique``.
        seed: of every draw.
        raw: write the published raw form (``\\x01`` between the columns, no header) instead of Parquet.

    Raises:
        UserError: an impossible size, ``out`` holds files that were not generated here, or cannot be written.
    """
    check_request(out, rows, kind)
    # A file for each core of a small machine, and files of a bounded size on a large one: only rows decide.
    partitions = max(min(4, rows // 5_000), -(-rows // _ROWS_PER_FILE[kind]), 1)
    source: Planted | Unique
    if kind == "unique":
        source = Unique(spark, rows, seed, partitions)
    else:
        source = Planted(spark, rows, seed, partitions, noise=kind == "noise")
    split = F.when(Draws(seed).uniform("split", F.col("_row")) < TEST_SHARE, TEST).otherwise(TRAIN).alias("split")
    # Java's working directory is the one that it was started in.
    with staged_folder(out.absolute()) as folder, _fast_for_long_expressions(spark):
        _write(source.rows().select(*NAMES, split), folder, raw=raw)
        _check_written(out, folder, rows)
        manifest = _manifest(source.truth().select("*", split), rows, kind, seed)
        (folder / MANIFEST).write_text(json.dumps(asdict(manifest), indent=2) + "\n", encoding="utf-8")
    return manifest


def check_request(out: Path, rows: int, kind: Kind) -> None:
    """What :func:`write_synthetic_recsys2021` would refuse, without Spark.

    Raises:
        UserError: an impossible size or kind, or ``out`` holds files that were not generated here.
    """
    if kind not in get_args(Kind):
        raise UserError(f"generated RecSys 2021: {kind} is not known; choose one of {', '.join(get_args(Kind))}")
    if rows < FEWEST_ROWS:
        raise UserError(f"generated RecSys 2021: rows must be at least {FEWEST_ROWS}, not {rows}")
    if out.is_file():
        raise UserError(f"{out} is a file; choose an empty or a new folder")
    if out.is_dir():
        names = {entry.name for entry in out.iterdir()}
        # A user's own files must survive a mistyped folder.
        if names and (MANIFEST not in names or not names <= {MANIFEST, "train", "test"}):
            raise UserError(f"{out} holds files that were not generated; choose an empty or a new folder")


@contextmanager
def _fast_for_long_expressions(spark: SparkSession) -> Iterator[None]:
    settings = {
        # Spark then splits the expressions into methods; all in one is more than Java compiles, and 4 times as slow.
        "spark.sql.codegen.wholeStage": "false",
        # Both halves are written side by side; else Spark would sort the rows by their half first.
        "spark.sql.maxConcurrentOutputFileWriters": "2",
    }
    before = {name: spark.conf.get(name) for name in settings}
    try:
        for name, value in settings.items():
            spark.conf.set(name, value)
        yield
    finally:
        for name, earlier in before.items():
            spark.conf.set(name, str(earlier))


def _write(rows: DataFrame, folder: Path, *, raw: bool) -> None:
    """Train and test in one pass."""
    if raw:
        texts = [F.coalesce(F.col(name).cast("string"), F.lit("")) for name in NAMES]
        rows = rows.select(F.concat_ws(SEPARATOR, *texts).alias("value"), "split")
    halves = folder / "halves"
    writer = rows.write.partitionBy("split").option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
    (writer.text if raw else writer.parquet)(spark_address(halves))
    for half in (TRAIN, TEST):
        (folder / half).mkdir()
        # Spark's names carry a random number; these are the same every time.
        for part in sorted((halves / f"split={half}").glob("part-*")):
            part.rename(folder / half / ("-".join(part.name.split("-")[:2]) + ("" if raw else ".parquet")))
    shutil.rmtree(halves)


def _check_written(out: Path, folder: Path, rows: int) -> None:
    parts = [part for half in (TRAIN, TEST) for part in (folder / half).iterdir()]
    found = sum(_rows_in(part) for part in parts)
    if found != rows:
        raise UserError(
            f"{out} stays as it was: {rows:,} rows were generated, and {found:,} are in the new files; look whether "
            "its storage is sound and nothing else writes or removes there, and run again"
        )


def _rows_in(part: Path) -> int:
    if part.suffix == ".parquet":
        return int(read_footer(part).num_rows)
    with part.open("rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(1 << 20), b""))


def _manifest(truth: DataFrame, rows: int, kind: Kind, seed: int) -> Manifest:
    place = F.floor(F.col("probability") * _BINS).cast("int").alias("place")
    counts = truth.groupBy("split", place, "engaged").count().collect()
    histogram = np.zeros((2, _BINS + 1), dtype=np.int64)
    for found in counts:
        if found["split"] == TEST:
            histogram[int(found["engaged"]), found["place"]] += found["count"]
    negatives, positives = histogram
    test_rows = int(histogram.sum())
    return Manifest(
        kind=kind,
        rows=rows,
        seed=seed,
        version=VERSION,
        train_rows=rows - test_rows,
        test_rows=test_rows,
        base_rate=float(positives.sum() / test_rows),
        best_auc=_auc(positives, negatives),
    )


def _auc(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> float:
    """From counts in ascending bins of the score; a pair in one bin counts half. 0.5 where there are no pairs."""
    pairs = float(positives.sum()) * float(negatives.sum())
    below = np.cumsum(negatives) - negatives / 2.0
    return float((positives * below).sum() / pairs) if pairs else 0.5
