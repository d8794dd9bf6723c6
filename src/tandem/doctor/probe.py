"""One rank of the doctor's allreduce: ``mpirun -np 2 python -m tandem.doctor.probe torch|tensorflow``."""

import os
import sys

from tandem.imports import import_tensorflow


def allreduce_torch() -> tuple[float, int]:
    """Sum rank + 1 over all ranks with Horovod's torch extension; return the sum and the number of ranks."""
    import horovod.torch as hvd
    import torch

    hvd.init()
    total = hvd.allreduce(torch.tensor([hvd.rank() + 1.0]), op=hvd.Sum)
    return float(total[0]), int(hvd.size())


def allreduce_tensorflow() -> tuple[float, int]:
    """Sum rank + 1 over all ranks with Horovod's TensorFlow extension; return the sum and the number of ranks."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import_tensorflow()
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    total = hvd.allreduce(tf.constant([hvd.rank() + 1.0]), op=hvd.Sum)
    return float(total[0]), int(hvd.size())


if __name__ == "__main__":
    total, ranks = {"torch": allreduce_torch, "tensorflow": allreduce_tensorflow}[sys.argv[1]]()
    sys.stdout.write(f"allreduce {total} of {ranks}\n")
