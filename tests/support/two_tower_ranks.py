"""Rank module for tests: several trainings in one job, since TensorFlow's start costs more than each of them."""

from pathlib import Path
from typing import Any

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.rank import run_rank


def main(spec: dict[str, Any], ranks: Communicator) -> None:
    """Train each of the specified jobs; what else is asked for is written beside it."""
    import json

    from tandem.models.two_tower.job import TwoTowerJob
    from tandem.models.two_tower.task import TwoTowerTrainer
    from tandem.training.keras.trainer import keras_threads

    keras_threads()
    for name, document in spec["jobs"].items():
        trainer = TwoTowerTrainer(TwoTowerJob.model_validate(document), ranks, lambda event: None)
        first = _first_gradients(trainer) if spec["gradients"] else None
        trainer.fit()
        trainer.save()
        weights = [weight.numpy().tobytes().hex() for weight in trainer.loop.weights]
        path = Path(spec["results"]) / f"{name}.{ranks.rank}.json"
        path.write_text(json.dumps({"weights": weights, "first": first, "history": trainer.loop.state.history}))


def _first_gradients(trainer: Any) -> list[list[float]]:
    """The gradient of the mean loss of the first global batch by every weight, added up over the ranks."""
    import tensorflow as tf

    task, ranks = trainer.loop.task, trainer.communicator
    rows = task.rows.rows  # without id dropout

    @tf.function(autograph=False)
    def gradients(ints: Any, floats: Any) -> Any:
        columns = {name: ints[:, place] for place, name in enumerate(rows.int_names)}
        columns |= {name: floats[:, place] for place, name in enumerate(rows.float_names)}
        trained = [weight.value for weight in task.model.trainable_weights]
        with tf.GradientTape() as tape:
            loss = task.summed_loss(columns)
        found = tape.gradient(loss, trained, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        return [tf.convert_to_tensor(one) for one in found]

    own = gradients(tf.constant(rows.ints), tf.constant(rows.floats))
    total = float(ranks.allreduce_scalars({"rows": float(len(rows))})["rows"])
    return [(ranks.allreduce_sum_(one).numpy() / total).ravel().tolist() for one in own]


if __name__ == "__main__":
    run_rank(main, "tensorflow")
