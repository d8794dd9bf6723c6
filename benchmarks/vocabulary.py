"""What a step of Wide & Deep costs as its tables grow: the same rows, with ids drawn from 2.6 or 26 million."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tandem.distributed.launch.launcher import launch
from tandem.models.click.job import ClickJob
from tandem.parameters import DistributedParameters

ROWS, EPOCHS = 100_000, 4
IDS = 2_600_000


def speed_by_ids(folder: Path, spec: Path) -> dict[str, float]:
    """Samples per second of two ranks from the second epoch, by the number of ids in the job's large tables.

    spec: of a training job, whose columns and settings are taken; its ids are not.
    """
    like = ClickJob.model_validate_json(spec.read_text())
    large = like.parameters.model.embeddings
    speeds = {}
    for ids in (IDS, 10 * IDS):
        sizes = like.sizes | dict.fromkeys(large, ids // len(large))
        job = like.model_copy(
            update={
                "sizes": sizes,
                "train": _rows(folder / "vocabulary.parquet", sizes, like.parameters.model.continuous),
                "staging": folder / "vocabulary/staging",
                "checkpoints": folder / "vocabulary/checkpoints",
                "parameters": like.parameters.model_copy(update={"epochs": EPOCHS, "early_stopping": None}),
            }
        )
        speeds[f"{ids:,}"] = _speed(job, folder / "vocabulary/work")
    return speeds


def _rows(path: Path, sizes: dict[str, int], numbers: tuple[str, ...]) -> Path:
    draw = np.random.default_rng(0)
    columns: dict[str, Any] = {name: draw.integers(0, size, ROWS, np.int32) for name, size in sizes.items()}
    columns |= {name: draw.random(ROWS, np.float32) for name in numbers}
    columns["label"] = draw.integers(0, 2, ROWS, np.int32)
    pq.write_table(pa.table(columns), path, row_group_size=ROWS // 4)
    return path


def _speed(job: ClickJob, work: Path) -> float:
    epochs: list[float] = []

    def note(event: dict[str, Any]) -> None:
        if event["event"] == "epoch":
            epochs.append(event["samples_per_second"])

    launch(
        "tandem.models.click.keras_rank",
        job,
        parameters=DistributedParameters(num_ranks=2, cores_per_rank=1),
        framework="tensorflow",
        work_dir=work,
        on_event=note,
    )
    return statistics.median(epochs[1:])
