"""Wide & Deep on real ranks: bit-equal weights, and the result of one rank, for everything that is offered."""

from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tandem.distributed.launch.launcher import launch
from tandem.parameters import DistributedParameters
from wnd_jobs import DEFAULTS, write_job

OFFERED = {
    f"{optimizer} {precision}": {"optimizer": optimizer, "precision": precision}
    for optimizer, precision in product(("adam", "adagrad"), ("fp32", "bf16"))
}
EVERYTHING = OFFERED | {
    "synchronised": {"batch_norm": "synchronised"},
    "dense tables": {"rowwise_min_rows": 1_000_000},
    "unknown ids": {"unknown_rate": 0.1},
}
# Without dropout, and on one batch an epoch, the number of ranks changes nothing but the order of sums; adagrad does
# not magnify that as adam does where a gradient is nearly zero.
EXACT: dict[str, Any] = {
    "optimizer": "adagrad",
    "learning_rate": 0.1,
    "batch_norm": "synchronised",
    "batch_size": 100_000,
    "model": DEFAULTS["model"] | {"dropout": 0.0},
}


def train_all(folder: Path, ranks: int, kinds: dict[str, dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What every rank reports of each kind of training; one of two epochs is interrupted, and resumed."""
    jobs = {name: write_job(folder / name, rows=1003, epochs=2, **kind) for name, kind in kinds.items()}
    jobs["cut"] = write_job(folder / "cut", rows=1003, epochs=2)
    jobs["resumed"] = write_job(folder / "cut", rows=1003, epochs=2, resume=True)
    events: list[dict[str, Any]] = []
    launch(
        "wnd_combinations_rank",
        {"jobs": {name: job.model_dump(mode="json") for name, job in jobs.items()}, "interrupted_after": {"cut": 1}},
        parameters=DistributedParameters(num_ranks=ranks, cores_per_rank=1, bind=False),
        framework="tensorflow",
        work_dir=folder / "work",
        on_event=events.append,
    )
    return {name: [one for one in events if one.get("name") == name] for name in jobs}


@pytest.mark.slow
def test_ranks_end_with_equal_weights_whatever_is_offered(tmp_path: Path) -> None:
    together = train_all(tmp_path / "two", 2, EVERYTHING | {"exact": EXACT})
    alone = train_all(tmp_path / "one", 1, OFFERED | {"exact": EXACT})
    for name, (first, second) in together.items():
        assert first["digest"] == second["digest"], name
    for name in EVERYTHING:
        first, last = together[name][0]["history"]
        assert last["train_loss"] < first["train_loss"], name
    digests = {name: of[0]["digest"] for name, of in together.items()}
    assert digests.pop("resumed") == digests["adam fp32"]
    assert len(set(digests.values())) == len(digests), "each setting has an effect"
    losses = [[record["train_loss"] for record in of["exact"][0]["history"]] for of in (alone, together)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
