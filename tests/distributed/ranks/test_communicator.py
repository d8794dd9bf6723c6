"""What ranks say to each other, one alone and two under Horovod, for both frameworks."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tandem.distributed.launch.launcher import launch
from tandem.distributed.ranks.communicator import SingleRank
from tandem.distributed.ranks.connection import connect
from tandem.errors import UserError
from tandem.parameters import DistributedParameters


def two_ranks(framework: Any, work_dir: Path) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    parameters = DistributedParameters(num_ranks=2)
    launch(
        "collectives_rank",
        {"framework": framework},
        parameters=parameters,
        framework=framework,
        work_dir=work_dir,
        on_event=events.append,
    )
    return sorted(events, key=lambda event: event["rank"])


def test_one_rank_is_its_own_sum() -> None:
    ranks = SingleRank()
    array = np.arange(6).reshape(3, 2)
    assert ranks.allreduce_sum_(array) is array
    assert ranks.broadcast_(array, 0) is array
    assert ranks.allgather(array) is array
    assert ranks.allreduce_array(array) is array
    assert ranks.allreduce_scalars({"loss": 1, "count": 2.0}) == {"loss": 1.0, "count": 2.0}
    assert ranks.same_on_all_ranks(b"x")
    assert (ranks.rank, ranks.size, ranks.local_rank) == (0, 1, 0)


def test_without_a_launcher_there_is_one_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TANDEM_NUM_RANKS", raising=False)
    assert connect("torch").size == 1


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
def test_two_ranks_under_horovod(framework: str, tmp_path: Path) -> None:
    first, second = two_ranks(framework, tmp_path)
    for event in (first, second):
        assert event["sum"] == [3.0, 3.0, 3.0]
        assert event["broadcast"] == [2.0, 2.0, 2.0]
        assert event["gathered"] == [[0, 0], [1, 1], [1, 1]]
        assert event["array"] == [[0, 3], [6, 9]]
        assert event["scalars"] == {"loss": 2.0, "count": 4.0}
        assert event["in pieces"] == {"sum": list(range(0, 30, 3)), "broadcast": list(range(0, 20, 2))}
        assert event["same"] is True
        assert event["different"] is False
    if framework == "torch":
        assert first["weights"] == second["weights"], "bit-equal after steps on different data"


def test_ranks_without_horovod_say_how_to_build_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TANDEM_NUM_RANKS", "2")
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    with pytest.raises(UserError, match="this job has 2 ranks; build it: make setup"):
        connect("torch")
