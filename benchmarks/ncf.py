"""NCF: training beside a plain PyTorch loop, under Open MPI and Intel MPI, and the wall time of every stage.

Runs conf/reference in a temporary folder on ml-100k where TANDEM_DATA_DIR has it, else on generated data of its size.
The loops and the MPIs take turns, and what counts is the ratio of their medians. Without Intel MPI (`make bench` sets
it up) its row is left out.
"""

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.runs import PROJECT, later_speed, stages, tandem_run
from tandem.distributed.installed import find_horovod

INTEL_MPI = "tandem, 2 ranks, Intel MPI"
ROUNDS = 3
EPOCHS = 6


def data_parameters() -> list[str]:
    """Parameters that point a run at ml-100k, where it is."""
    folder = Path(os.environ.get("TANDEM_DATA_DIR", "")) / "ml-100k"
    if os.environ.get("TANDEM_DATA_DIR") and folder.is_dir():
        return ["movielens=ml-100k", f"movielens_path={folder.resolve()}"]
    return ["movielens=synthetic"]


def our_speed(folder: Path, ranks: int, mpi: str = "openmpi") -> float:
    """Samples per second from the second epoch on, median over epochs."""
    parameters = [*data_parameters(), f"ncf.epochs={EPOCHS}", f"distributed.num_ranks={ranks}"]
    parameters += [f"distributed.mpi={mpi}"]
    tandem_run(folder, "--tags", "ncf", "--nodes", "train_ncf", parameters=parameters)
    return later_speed(folder, "ncf")


def plain_speed(folder: Path, threads: int) -> float:
    """The same of the plain loop."""
    spec = json.loads((folder / "data/05_model_input/ncf/feature_spec.json").read_text())
    command = [sys.executable, "-m", "benchmarks.plain_ncf", str(folder / "data/05_model_input/ncf/train.parquet")]
    command += [str(spec["num_users"] + 1), str(spec["num_items"] + 1), str(threads), "3"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout)[1:])


def profile_shares(folder: Path) -> dict[str, float]:
    """Where the time of a step goes."""
    command = [sys.executable, "-m", "benchmarks.profile_ncf", str(folder / "data/06_models/jobs/ncf/spec.json")]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    shares: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return shares


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    wall, log = tandem_run(folder, "--tags", "ncf", parameters=data_parameters())
    speeds: dict[str, list[float]] = {"tandem, 2 ranks": [], "tandem, 1 rank": [], "plain, 2 threads": []}
    with_intel_mpi = find_horovod("intelmpi") is not None
    for _ in range(ROUNDS):
        speeds["tandem, 2 ranks"].append(our_speed(folder, 2))
        if with_intel_mpi:
            speeds.setdefault(INTEL_MPI, []).append(our_speed(folder, 2, "intelmpi"))
        speeds["plain, 2 threads"].append(plain_speed(folder, 2))
        speeds["tandem, 1 rank"].append(our_speed(folder, 1))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    return {
        "data": data_parameters()[0],
        "wall_seconds": wall,
        "stage_seconds": stages(log),
        "samples_per_second": medians,
        "all_rounds": speeds,
        "ratio_to_plain": medians["tandem, 2 ranks"] / medians["plain, 2 threads"],
        "scaling_efficiency": medians["tandem, 2 ranks"] / 2 / medians["tandem, 1 rank"],
        "intel_to_open_mpi": medians[INTEL_MPI] / medians["tandem, 2 ranks"] if with_intel_mpi else None,
        "step_time_shares": profile_shares(folder),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"NCF, conf/reference, {figures['data']}: {figures['wall_seconds']:.1f} s from raw files to report"]
    lines += [f"  {name:<28}{seconds:>8.1f} s" for name, seconds in figures["stage_seconds"].items()]
    lines += ["", "Training, samples/s from the second epoch (median of rounds)"]
    lines += [f"  {name:<28}{speed:>12,.0f}" for name, speed in figures["samples_per_second"].items()]
    if figures["intel_to_open_mpi"] is not None:
        lines.append(f"  Intel MPI to Open MPI       {figures['intel_to_open_mpi']:>12.2f}")
    lines += [
        f"  ratio to the plain loop     {figures['ratio_to_plain']:>12.1f}",
        f"  efficiency, 2 ranks to 1    {figures['scaling_efficiency']:>12.0%}",
        "",
        "Where the time of a step goes (one core)",
    ]
    lines += [f"  {name:<40}{share:>7.0%}" for name, share in figures["step_time_shares"].items()]
    return "\n".join(lines)
