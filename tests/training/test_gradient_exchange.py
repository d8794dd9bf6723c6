"""Dense or sparse: the rule by sizes, and the same weights either way."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ncf_jobs import write_job
from tandem.distributed.launch.launcher import launch
from tandem.errors import UserError
from tandem.parameters import DistributedParameters
from tandem.training.gradient_exchange import check_exchange, exchange_of


@pytest.mark.parametrize(
    ("rows", "ids", "ranks", "expected"),
    [
        (1_000_000, 5_000, 2, "sparse"),
        (16_383, 10, 2, "dense"),  # one more collective would cost more than its bytes
        (16_384, 10, 2, "sparse"),
        (20_000, 19_999, 2, "sparse"),
        (20_000, 20_000, 2, "dense"),
        (20_000, 10_000, 4, "dense"),
        (20_000, 9_999, 4, "sparse"),
        (20_000, 1_000_000, 2, "dense"),  # repeated ids count once
    ],
)
def test_the_rule(rows: int, ids: int, ranks: int, expected: str) -> None:
    assert exchange_of(rows, ids, ranks) == expected


@pytest.mark.parametrize("ranks", [2, 3, 8, 64])
def test_the_rule_is_that_fewer_bytes_are_moved(ranks: int) -> None:
    rows, width = 100_000, 17
    for ids in (10, 1_000, 3_124, 3_126, 12_499, 12_501, 60_000, 100_000):
        allreduced = 2 * (ranks - 1) / ranks * rows * width
        gathered = (ranks - 1) * ids * width
        assert exchange_of(rows, ids, ranks) == ("sparse" if gathered < allreduced else "dense")


def test_what_mpi_cannot_count_is_refused_by_sizes_alone() -> None:
    check_exchange("sparse", 10**9, 127, 2**23 - 1, 2, "a table")
    with pytest.raises(UserError, match=r"a table: 1073741824 numbers of a rank, gathered from 2 ranks"):
        check_exchange("sparse", 10**9, 127, 2**23, 2, "a table")
    check_exchange("dense", 10**9, 127, 2**23, 2, "a table")  # goes in pieces


def both_ways(framework: Any, folder: Path, spec: dict[str, Any]) -> list[dict[str, Any]]:
    """What both ranks report."""
    events: list[dict[str, Any]] = []
    launch(
        "gradient_exchange_rank",
        spec | {"framework": framework},
        parameters=DistributedParameters(num_ranks=2, cores_per_rank=1, bind=False),
        framework=framework,
        work_dir=folder / "work",
        on_event=events.append,
    )
    return [event for event in events if event["event"] == "weights"]


@pytest.mark.slow
def test_two_ranks_update_keras_tables_to_the_same_weights_either_way(tmp_path: Path) -> None:
    events = both_ways("tensorflow", tmp_path, {})
    assert len(events) == 2
    for event in events:
        assert set(event["tables"]) == {"adam settling", "adam lazy", "adagrad lazy"}
        for name, (dense, sparse) in event["tables"].items():
            assert np.abs(np.array(dense) - np.array(event["start"])).max() > 0.01, name
            np.testing.assert_allclose(dense, sparse, atol=1e-6, err_msg=name)
        assert event["tables"] == events[0]["tables"]
        assert event["exchanged"] == {"dense": ["allreduce"], "sparse": ["allgather"]}


@pytest.mark.slow
@pytest.mark.parametrize("negatives", ["stored", "shared"])
def test_two_ranks_train_ncf_to_the_same_weights_either_way(tmp_path: Path, negatives: str) -> None:
    job = write_job(tmp_path, negatives=negatives, shared_negatives=20, early_stopping=None, embedding_l2=0.01)
    events = both_ways("torch", tmp_path, {"job": job.model_dump(mode="json")})
    assert len(events) == 2
    assert events[0]["dense"] == events[1]["dense"]
    assert events[0]["sparse"] == events[1]["sparse"]
    for name, weights in events[0]["dense"].items():
        np.testing.assert_allclose(weights, events[0]["sparse"][name], atol=2e-5, err_msg=name)
        assert np.abs(np.array(weights) - np.array(events[0]["start"][name])).max() > 1e-3, name
