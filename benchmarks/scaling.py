"""How training scales: each model on one and two ranks of this host, bound and not, and on two hosts.

The same global batch everywhere, conf/reference, generated rows. Efficiency is samples/s of two ranks over twice those
of one. What two ranks spend on each other is told by a rank that trains alone on half the batch, as each of two does:
the share of a step that goes beyond its step is communication, waiting for the other, and the memory that both use.
What this machine allows is told by two such jobs side by side, a core each, which exchange nothing.
On a machine that is shared, others only ever slow an epoch down, so ratios are also given of each case's best epoch.
The two hosts are network namespaces on this machine (root, iproute2), joined by TCP.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.runs import PROJECT, tandem_run
from tandem.distributed.job import Framework
from tandem.distributed.launch.launcher import launch
from tandem.models.click.job import ClickJob
from tandem.models.ncf.job import NCFJob
from tandem.models.two_tower.job import TwoTowerJob
from tandem.parameters import DistributedParameters

Jobs = type[NCFJob] | type[ClickJob] | type[TwoTowerJob]
MODELS: dict[str, tuple[Jobs, str, Framework]] = {
    "ncf": (NCFJob, "tandem.models.ncf.rank", "torch"),
    "wnd": (ClickJob, "tandem.models.click.keras_rank", "tensorflow"),
    "two_tower": (TwoTowerJob, "tandem.models.two_tower.rank", "tensorflow"),
}
DATA = {
    "ncf": ["movielens=synthetic"],
    "wnd": ["recsys2021=planted", "recsys2021_rows=100000", "wnd.validation_fraction=0"],
    "two_tower": ["recsys2021=planted", "recsys2021_rows=100000"],
}
EPOCHS = {"ncf": 20, "wnd": 4, "two_tower": 5}
ROUNDS = 3
APART = "2 jobs of 1 rank side by side, half the batch each"
ONE: dict[str, Any] = {"num_ranks": 1, "cores_per_rank": 1}
TWO: dict[str, Any] = {"num_ranks": 2, "cores_per_rank": 1}
FREE: dict[str, Any] = {"num_ranks": 2, "threads_per_rank": 1, "bind": False}


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    imports = {framework: _import_seconds(framework) for framework in ("torch", "tensorflow")}
    with _two_hosts(folder) as hosts:
        return {"import_seconds": imports} | {model: _measure(folder, model, hosts) for model in MODELS}


def _measure(folder: Path, model: str, hosts: dict[str, Any] | None) -> dict[str, Any]:
    parameters = [*DATA[model], f"{model}.early_stopping=null", f"{model}.epochs={EPOCHS[model]}"]
    tandem_run(folder, "--tags", model, "--to-nodes", f"train_{model}", parameters=parameters)
    spec = folder / f"data/06_models/jobs/{model}/spec.json"
    whole = MODELS[model][0].model_validate_json(spec.read_text())
    half_batch = {"batch_size": whole.parameters.batch_size // 2}
    half = whole.model_copy(update={"parameters": whole.parameters.model_copy(update=half_batch)})
    cases = {"1 rank": (whole, ONE), "1 rank, half the batch": (half, ONE), "2 ranks": (whole, TWO)}
    cases["2 ranks, not bound"] = (whole, FREE)
    if hosts is not None:
        cases["2 ranks on 2 hosts"] = (whole, hosts)
    speeds: dict[str, list[float]] = {name: [] for name in (*cases, APART)}
    starts = []
    for _ in range(ROUNDS):
        speeds[APART] += _side_by_side(model, half, folder)
        for name, (job, settings) in cases.items():
            with _network_of(hosts if settings is hosts else None):
                found, start = _train(model, job, settings, folder / "scaling")
            speeds[name] += found
            if name == "2 ranks":
                starts.append(start)
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    best = {name: max(found) for name, found in speeds.items()}
    return {
        "samples_per_second": medians,
        "best": best,
        "all_epochs": speeds,
        "ratios": _ratios(medians),
        "ratios_of_best": _ratios(best),
        "start_seconds": statistics.median(starts),
    }


def _side_by_side(model: str, half: Any, folder: Path) -> list[float]:
    """Samples per second of two jobs together, for each of their epochs."""
    cpus = sorted(os.sched_getaffinity(0))[:2]

    def one(cpu: int) -> list[float]:
        found, _ = _train(model, half, ONE | {"rank_cpus": [str(cpu)]}, folder / f"apart-{cpu}")
        return found

    with ThreadPoolExecutor() as pool:
        return [sum(both) for both in zip(*pool.map(one, cpus), strict=True)]


def _ratios(speeds: dict[str, float]) -> dict[str, float]:
    together = speeds["2 ranks"]
    return {
        "efficiency of 2 ranks": together / 2 / speeds["1 rank"],
        "of 2 jobs that exchange nothing": speeds[APART] / 2 / speeds["1 rank"],
        "share of a step beyond the rank's own work": 1 - together / 2 / speeds["1 rank, half the batch"],
        "bound, ratio to not bound": together / speeds["2 ranks, not bound"],
    }


def _train(model: str, job: Any, settings: dict[str, Any], folder: Path) -> tuple[list[float], float]:
    """Samples per second of each epoch from the second on, and seconds from the call to the first step."""
    epochs: list[dict[str, Any]] = []
    firsts: list[float] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            firsts.append(time.monotonic() - event["seconds"])
            epochs.append(event)

    _, module, framework = MODELS[model]
    job = job.model_copy(update={"staging": folder / "staging", "checkpoints": folder / "checkpoints"})
    distributed = DistributedParameters(**{name: value for name, value in settings.items() if name != "entered"})
    started = time.monotonic()
    launch(module, job, parameters=distributed, framework=framework, work_dir=folder / "work", on_event=note)
    return [epoch["samples_per_second"] for epoch in epochs[1:]], firsts[0] - started


def _import_seconds(framework: str) -> float:
    seconds = []
    for _ in range(ROUNDS):
        started = time.monotonic()
        subprocess.run([sys.executable, "-c", f"import {framework}"], check=True, capture_output=True)
        seconds.append(time.monotonic() - started)
    return statistics.median(seconds)


@contextlib.contextmanager
def _two_hosts(folder: Path) -> Iterator[dict[str, Any] | None]:
    """Settings of a job on both hosts, and how to enter their network; None where this machine cannot have them."""
    sys.path.append(str(PROJECT / "tests/distributed"))
    from two_hosts import NAMES, NETWORK, TwoHosts, why_not

    reason = why_not()
    if reason is not None:
        print(f"{reason}: not measured", flush=True)
        yield None
        return
    hosts = TwoHosts(folder)
    try:
        hosts.start()
        yield {
            "hosts": [f"{name}:1" for name in NAMES],
            "network": NETWORK,
            "launch_agent": str(hosts.agent),
            "entered": hosts.entered,
        }
    finally:
        hosts.stop()


def _network_of(hosts: dict[str, Any] | None) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if hosts is None else hosts["entered"]()


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    cases = list(dict.fromkeys(name for model in MODELS for name in figures[model]["samples_per_second"]))
    head = "Scaling, conf/reference, samples/s of an epoch from the second on"
    lines = [
        f"{head:<68}" + "".join(f"{model:>22}" for model in MODELS),
        f"{'':<68}" + f"{'median':>11}{'best':>11}" * 3,
    ]
    for case in cases:
        both = (figures[model][kind][case] for model in MODELS for kind in ("samples_per_second", "best"))
        lines.append(f"  {case:<66}" + "".join(f"{speed:>11,.0f}" for speed in both))
    for name in figures["ncf"]["ratios"]:
        both = (figures[model][kind][name] for model in MODELS for kind in ("ratios", "ratios_of_best"))
        lines.append(f"  {name:<66}" + "".join(f"{ratio:>11.1%}" for ratio in both))
    limits = [1.5 * figures["import_seconds"][framework] + 2 for _, _, framework in MODELS.values()]
    starts = [figures[model]["start_seconds"] for model in MODELS]
    lines.append(
        f"  {'seconds from the call to the first step, 2 ranks':<66}" + "".join(f"{s:>11.1f}{'':>11}" for s in starts)
    )
    lines.append(f"  {'1.5 x the import of the framework + 2 s':<66}" + "".join(f"{s:>11.1f}{'':>11}" for s in limits))
    return "\n".join(lines)
