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
from benchmarks.vocabulary import speed_by_ids

ROWS = 100_000
KIND = ["recsys2021=unique", f"recsys2021_rows={ROWS}"]
EPOCHS = 4
# Planted rows have something to learn: both train until they overfit, and the best epoch of each counts.
PLANTED_ROWS, PLANTED_EPOCHS, PLANTED_RATE = 300_000, 6, 0.0005


def our_speed(folder: Path, model: str, precision: str, ranks: int) -> float:
    """Samples per second of all ranks from the second epoch on."""
    stopping = f"{model}.early_stopping=null"
    parameters = [*KIND, f"{model}.epochs={EPOCHS}", stopping, f"{model}.precision={precision}"]
    tandem_run(folder, "--nodes", f"train_{model}", parameters=[*parameters, f"distributed.num_ranks={ranks}"])
    return later_speed(folder, model)


def plain(folder: Path, epochs: int) -> dict[str, Any]:
    """``speeds`` and ``aucs`` of the epochs: Keras' own ``fit`` of the same layers on the same rows, on all cores."""
    spec = folder / "data/06_models/jobs/wnd/spec.json"
    command = [sys.executable, "-m", "benchmarks.plain_wide_and_deep", str(spec), str(epochs)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def auc_beside_plain(folder: Path, seed: int = 1) -> dict[str, list[float]]:
    """AUC after each epoch on the same held-out rows, two ranks of ours and plain Keras on the same planted rows."""
    folder.mkdir()
    parameters = [f"recsys2021_rows={PLANTED_ROWS}", f"seed={seed}", "distributed.num_ranks=2"]
    parameters += [f"wnd.epochs={PLANTED_EPOCHS}", f"wnd.learning_rate={PLANTED_RATE}", "wnd.early_stopping=null"]
    tandem_run(folder, "--pipelines", "data_processing", "--tags", "recsys2021", parameters=parameters)
    tandem_run(folder, "--nodes", "train_wnd", parameters=parameters)
    history = json.loads((folder / "data/08_reporting/wnd/history.json").read_text())
    ours = [record["val_auc"] for record in history]
    return {"Tandem": ours, "plain Keras": plain(folder, PLANTED_EPOCHS)["aucs"]}


def measure(folder: Path) -> dict[str, Any]:
    """All figures."""
    wall, log = tandem_run(folder, "--tags", "recsys2021", parameters=KIND)
    speeds = {
        f"{model}, {precision}, {ranks} rank(s)": our_speed(folder, model, precision, ranks)
        for model in ("wnd", "two_tower")
        for precision, ranks in (("fp32", 1), ("fp32", 2), ("bf16", 2))
    }
    our_speed(folder, "wnd", "fp32", 2)
    theirs = statistics.median(plain(folder, 3)["speeds"][1:])
    by_ids = speed_by_ids(folder, folder / "data/06_models/jobs/wnd/spec.json")
    return {
        "data": f"unique, {ROWS:,} rows",
        "wall_seconds": wall,
        "stage_seconds": stages(log),
        "samples_per_second": speeds | {"plain Keras, Wide & Deep, fp32, all cores": theirs},
        "ratio_to_plain": speeds["wnd, fp32, 2 rank(s)"] / theirs,
        "samples_per_second_by_ids": by_ids,
        "validation_auc_on_planted_rows": auc_beside_plain(folder / "planted"),
    }


def table(figures: dict[str, Any]) -> str:
    """The figures for people."""
    lines = [f"Wide & Deep and two towers, conf/reference, {figures['data']}: {figures['wall_seconds']:.1f} s in all"]
    lines += [f"  {name:<34}{seconds:>8.1f} s" for name, seconds in figures["stage_seconds"].items()]
    lines += ["", "Training, samples/s from the second epoch"]
    lines += [f"  {name:<44}{speed:>10,.0f}" for name, speed in figures["samples_per_second"].items()]
    lines.append(f"  Wide & Deep, ratio to plain Keras           {figures['ratio_to_plain']:>10.1f}")
    lines += [f"  Wide & Deep, tables of {ids:>10} ids       {speed:>10,.0f}" for ids, speed in _by_ids(figures)]
    lines += [
        "",
        f"Validation AUC of Wide & Deep on {PLANTED_ROWS:,} planted rows: best of {PLANTED_EPOCHS} epochs (each)",
    ]
    for name, aucs in figures["validation_auc_on_planted_rows"].items():
        lines.append(f"  {name:<44}{max(aucs):>10.4f} ({', '.join(f'{auc:.4f}' for auc in aucs)})")
    return "\n".join(lines)


def _by_ids(figures: dict[str, Any]) -> list[tuple[str, float]]:
    return list(figures["samples_per_second_by_ids"].items())
