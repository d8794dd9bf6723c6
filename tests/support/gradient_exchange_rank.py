"""A rank module that updates the same weights twice, by dense and by sparse exchanges, and reports both."""

from typing import Any

import numpy as np

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import emit, run_rank

ROWS, DIM, STEPS = 200, 4, 12


def keras_tables(ranks: Communicator) -> dict[str, Any]:
    """Tables updated by batches of ids that differ between the ranks, in number too."""
    import tensorflow as tf

    from tandem.training.keras import optimizer as rank_optimizer

    start = np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float32)

    def trained(kind: Any, reader: str, exchange: str) -> list[Any]:
        rank_optimizer.exchange_of = lambda *_: exchange  # type: ignore[assignment]
        table = tf.Variable(start)
        other = tf.Variable(np.ones(3, np.float32))
        options: dict[str, Any] = {reader: [table]}
        optimizer = rank_optimizer.RankOptimizer([table, other], kind, ranks, steps=100, min_rows=1, **options)
        signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([None, DIM], tf.float32)]

        @tf.function(autograph=False, input_signature=signature)
        def step(ids: Any, grads: Any) -> None:
            optimizer.apply([tf.IndexedSlices(grads, ids), tf.ones(3)], tf.constant(0.01), 40)

        for number in range(STEPS):
            rng = np.random.default_rng([number, ranks.rank])
            count = 40 - 3 * ranks.rank
            step((rng.zipf(1.5, count) % ROWS).astype(np.int32), rng.normal(size=(count, DIM)).astype(np.float32))
        optimizer.settle()
        return table.numpy().tolist()  # type: ignore[no-any-return]

    seen: dict[str, list[str]] = {}
    real = ranks.allgather_in_graph, ranks.allreduce_in_graph

    def watch(exchange: str) -> None:
        """Note by which collective the table's gradient goes."""
        seen[exchange] = []

        def gather(tensor: Any, name: str) -> Any:
            seen[exchange].append("allgather")
            return real[0](tensor, name)

        def reduce(tensor: Any, name: str) -> Any:
            if tensor.shape.num_elements() > ROWS:
                seen[exchange].append("allreduce")
            return real[1](tensor, name)

        ranks.allgather_in_graph, ranks.allreduce_in_graph = gather, reduce  # type: ignore[method-assign]

    tables: dict[str, list[Any]] = {}
    for kind, reader in (("adam", "settling"), ("adam", "lazy"), ("adagrad", "lazy")):
        for exchange in ("dense", "sparse"):
            watch(exchange)
            tables.setdefault(f"{kind} {reader}", []).append(trained(kind, reader, exchange))
    return {"tables": tables, "start": start.tolist(), "exchanged": seen}


def ncf_weights(document: dict[str, Any], ranks: Communicator) -> dict[str, Any]:
    from tandem.models.ncf import exchange as ncf_gradients
    from tandem.models.ncf.job import NCFJob
    from tandem.models.ncf.task import ncf_training

    results: dict[str, Any] = {}
    for exchange in ("dense", "sparse"):
        ncf_gradients.exchange_of = lambda *_, chosen=exchange: chosen  # type: ignore[assignment]
        trainer = ncf_training(NCFJob.model_validate(document), ranks, lambda event: None)
        assert trainer.loop.exchange.sparse == (("users", "items") if exchange == "sparse" else ())
        results["start"] = _values(trainer)
        trainer.fit()
        results[exchange] = _values(trainer)
    return results


def _values(trainer: Any) -> dict[str, Any]:
    return {name: one.detach().numpy().tolist() for name, one in trainer.task.model.named_parameters()}


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    results = keras_tables(ranks) if spec["framework"] == "tensorflow" else ncf_weights(spec["job"], ranks)
    emit({"event": "weights", **results})


if __name__ == "__main__":
    import json
    import sys
    from pathlib import Path

    run_rank(main, json.loads(Path(sys.argv[1]).read_text())["framework"])
