"""Wide & Deep and the two towers: conf/reference on the reference's kind of rows, beside plain Keras.

Every id, link and tag of these rows is unique: the largest vocabularies, and nothing to learn. What counts is time.
"""

import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.runs import PROJECT, later_speed, stages, tandem_run

ROWS = 100_000
KIND = ["recsys2021=unique", f"recsys2021_rows={ROWS}"]
EPOCHS = 4


def our_speed(folder: Path, model: str, precision: str, ranks: int) -> float:
    """Samples per second of all ranks from the second epoch on."""
    stopping = f"{model}.early_stopping=null"
    parameters = [*KIND, f"{model}.epochs={EPOCHS}", stopping, f"{model}.precision={precision}"]
    tandem_run(folder, "--nodes", f"train_{model}", parameters=[*parameters, f"distributed.num_ranks={ranks}"])
    return later_speed(folder, model)


def plain_speed(folder: Path) -> float:
    """The same of Keras' own ``fit`` with the same columns, layers and batch, on all cores."""
    spec = folder / "data/06_models/work/wnd/spec.json"
    command = [sys.executable, "-m", "benchmarks.plain_wide_and_deep", str(spec), "3"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    return statistics.median(json.loads(done.stdout.splitlines()[-1])[1:])


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    wall, log = tandem_run(folder, "--tags", "recsys2021", parameters=KIND)
    speeds = {
        f"{model}, {precision}, {ranks} rank(s)": our_speed(folder, model, precision, ranks)
        for model in ("wnd", "two_tower")
        for precision, ranks in (("fp32", 1), ("fp32", 2), ("bf16", 2))
    }
    our_speed(folder, "wnd", "fp32", 2)
    plain = plain_speed(folder)
    return {
        "data": f"unique, {ROWS:,} rows",
        "wall_seconds": wall,
        "stage_seconds": stages(log),
        "samples_per_second": speeds | {"plain Keras, Wide & Deep, fp32, all cores": plain},
        "ratio_to_plain": speeds["wnd, fp32, 2 rank(s)"] / plain,
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"Wide & Deep and two towers, conf/reference, {figures['data']}: {figures['wall_seconds']:.1f} s in all"]
    lines += [f"  {name:<34}{seconds:>8.1f} s" for name, seconds in figures["stage_seconds"].items()]
    lines += ["", "Training, samples/s from the second epoch"]
    lines += [f"  {name:<44}{speed:>10,.0f}" for name, speed in figures["samples_per_second"].items()]
    lines.append(f"  Wide & Deep, ratio to plain Keras           {figures['ratio_to_plain']:>10.1f}")
    return "\n".join(lines)
