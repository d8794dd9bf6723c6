"""Where the time of a training step of NCF goes, on one core: ``python -m benchmarks.profile_ncf WORK_SPEC``.

WORK_SPEC is the ``spec.json`` of a training job (data/06_models/jobs/ncf/spec.json). Prints shares of operator time.
"""

import json
import sys
import tempfile
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from tandem.batches.rows import EpochKey
from tandem.distributed.ranks.communicator import SingleRank
from tandem.models.ncf.job import NCFJob
from tandem.models.ncf.task import ncf_training

STEPS = 40
GROUPS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::mv", "aten::addmv"),
    "gather and scatter of embedding rows": ("aten::index_select", "aten::embedding_dense_backward", "aten::index"),
    "random bytes for dropout": ("aten::random_",),
    "Adam": ("aten::_fused_adam_",),
}


def shares(job: NCFJob) -> dict[str, float]:
    """Share of each group of operators in the time of all of them, largest first."""
    torch.set_num_threads(1)
    trainer = ncf_training(job, SingleRank(), lambda event: None).loop
    trainer.task.model.train()
    batches = trainer.task.rows.epoch(EpochKey(job.seed, 0, 0))
    half = [trainer.plan.rows(0, step) for step in range(trainer.plan.steps)]
    halves = [slice(part.start, part.start + (part.stop - part.start) // 2) for part in half]
    for part in halves[:5]:
        trainer._train_step(batches(part), 0.01, part.stop - part.start)
    with profile(activities=[ProfilerActivity.CPU]) as run:
        for part in halves[5 : 5 + STEPS]:
            trainer._train_step(batches(part), 0.01, part.stop - part.start)
    times = {event.key: event.self_cpu_time_total for event in run.key_averages()}
    total = sum(times.values())
    found = {name: sum(times.get(key, 0.0) for key in keys) / total for name, keys in GROUPS.items()}
    found["elementwise and the rest"] = 1.0 - sum(found.values())
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def main() -> None:
    """Profile the job of the specification named on the command line."""
    job = NCFJob.model_validate(json.loads(Path(sys.argv[1]).read_text()))
    with tempfile.TemporaryDirectory() as folder:
        job = job.model_copy(update={"checkpoints": Path(folder)})
        print(json.dumps(shares(job)))


if __name__ == "__main__":
    main()
