"""Odd logs through the reader: the right rows, or one true line."""

import hashlib
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from fuzz.judge import judge
from fuzz.lane import Outcome, acceptance, expected, refusal, try_seed
from fuzz.odd_files import write_log
from fuzz.odd_recsys2021 import write_recsys2021

STEP = 100
COMPILING = ("spark.sql.codegen.wholeStage", "spark.sql.codegen.factoryMode")


@pytest.fixture
def compiling_again(spark: SparkSession) -> Iterator[None]:
    """What the lane switches is as it was for the tests after it."""
    yield
    for name in COMPILING:
        spark.conf.unset(name)


@pytest.mark.usefixtures("compiling_again")
def test_odd_logs_give_their_rows_or_one_true_line(
    spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    first, count = (int(request.config.getoption(name)) for name in ("--fuzz-seed", "--fuzz-tables"))
    started = time.monotonic()
    outcomes: list[Outcome] = []
    for seed in range(first, first + count):
        outcomes.append(try_seed(spark, tmp_path / str(seed), seed))
        if outcomes[-1].wrong is None:
            shutil.rmtree(tmp_path / str(seed))
        if count > STEP and (len(outcomes) % STEP == 0 or len(outcomes) == count or outcomes[-1].wrong):
            with capsys.disabled():
                print("\n" + figures(outcomes, time.monotonic() - started, outcomes[-1]))
    wrong = [
        f"seed {o.seed}, {', '.join(o.what)}: {o.wrong}; kept in {tmp_path / str(o.seed)}" for o in outcomes if o.wrong
    ]
    assert not wrong, "\n".join([f"{len(wrong)} of {count}; repeat with --fuzz-tables 1 --fuzz-seed SEED", *wrong])


def figures(outcomes: list[Outcome], seconds: float, last: Outcome) -> str:
    if last.wrong:
        return f"seed {last.seed}, {', '.join(last.what)}: {last.wrong}"
    fates = Counter(outcome.fate for outcome in outcomes)
    accepted = fates.pop("accepted", 0)
    share = f"{accepted} accepted ({accepted / len(outcomes):.0%})"
    return f"{len(outcomes)} logs in {seconds:.0f} s: {share}; refused: {dict(fates.most_common())}"


def test_a_seed_is_a_log(tmp_path: Path) -> None:
    writers = (write_log, write_recsys2021)
    made = [
        [
            _digest(write(tmp_path / name / f"{write.__name__} {seed}", seed).folder)
            for write in writers
            for seed in range(9)
        ]
        for name in "ab"
    ]
    assert made[0] == made[1]
    assert len(set(made[0])) == 18


def _digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    content = b"".join(str(path.relative_to(folder)).encode() + path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()


def test_the_judge_sees_what_is_lost_invented_changed_or_untrue(tmp_path: Path) -> None:
    log = {"user_id": [1, 2], "item_id": [3, 3], "timestamp": [5, 6], "extra": ["a", "b"]}
    pq.write_table(pa.table(log), tmp_path / "interactions.parquet")
    verdict = judge(tmp_path)
    right = expected(verdict)
    assert right["interactions"] == [(1, 3, 1.0, 5), (2, 3, 1.0, 6)]
    assert acceptance(verdict, right) is None
    for rows in ([(1, 3, 1.0, 5)], [*right["interactions"], (2, 3, 1.0, 6)], [(1, 3, 1.0, 5), (2, 3, -1.0, 6)]):
        assert acceptance(verdict, right | {"interactions": rows}) is not None
    pq.write_table(pa.table(log | {"user_id": pa.array([None, None], pa.int64())}), tmp_path / "interactions.parquet")
    bad = judge(tmp_path)
    assert acceptance(bad, right) is not None
    line = (
        f"{tmp_path}/interactions.parquet, row 1: column user_id: expected a number, found nothing (2 such rows); mend"
    )
    assert refusal(line, bad.faults) == ("value: id", None)
    for true, untrue in (("row 1", "row 3"), ("user_id", "item_id"), ("nothing", "7"), ("(2 such", "(3 such")):
        assert refusal(line.replace(true, untrue), bad.faults)[1] is not None
    assert refusal(line, verdict.faults)[1] is not None
