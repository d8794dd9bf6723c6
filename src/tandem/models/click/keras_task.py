"""Train a click model in Keras, one of ours or of the user's own, on one rank of many."""

from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tandem.artifacts import write_config
from tandem.batches.columns import LABEL, IdDropout
from tandem.custom_models import build_by_path
from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.events import Emit
from tandem.errors import UserError
from tandem.layers.keras_features import NormReluDropout
from tandem.models.click import network
from tandem.models.click.config import ClickConfig
from tandem.models.click.job import ClickJob
from tandem.models.click.rows import click_rows
from tandem.models.click.training import train_click
from tandem.models.click.validation import click_metrics
from tandem.training.keras.predictor import Predictor
from tandem.training.keras.task import KerasTask
from tandem.training.keras.trainer import KerasTrainer
from tandem.training.phases import Training
from tandem.training.task import Phase


def train_keras_click(job: ClickJob, communicator: Communicator, emit: Emit) -> Training[KerasTask]:
    """The whole job of a rank; see :func:`tandem.models.click.training.train_click`."""
    return train_click(KerasTrainer, keras_task, save_model, job, communicator, emit)


def keras_task(job: ClickJob, phase: Phase, communicator: Communicator) -> KerasTask:
    """A new model, this rank's rows of a phase, the loss and the validation.

    Raises UserError where a builder does not build what it should, or the rows are not fit to train on.
    """
    parameters, hold_out = job.parameters, phase == "search"
    training, watched = click_rows(job, communicator.rank, communicator.size, hold_out=hold_out)
    model = build_model(job.config, parameters.precision, job.seed)
    for layer in model._flatten_layers():
        if isinstance(layer, NormReluDropout) and parameters.batch_norm == "synchronised" and communicator.size > 1:
            layer.sum_over_ranks = communicator.allreduce_in_graph
    predict = Predictor(
        lambda batch: model(_inputs(job, batch), training=False), training.int_names, training.float_names
    )
    validated = hold_out and parameters.validation_fraction > 0.0

    def summed_loss(batch: dict[str, Any]) -> Any:
        logits = tf.reshape(tf.cast(model(_inputs(job, batch), training=True), tf.float32), [-1])
        labels = tf.cast(batch[LABEL], tf.float32)
        return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(labels=labels, logits=logits))

    return KerasTask(
        name=job.name,
        title=job.config.title,
        model=model,
        rows=IdDropout(training, job.dropped_ids, parameters.unknown_rate),
        fingerprint=training.fingerprint,
        summed_loss=summed_loss,
        validate=(lambda: click_metrics(predict, watched, communicator)) if validated else None,
        identity=job.identity,
    )


def _inputs(job: ClickJob, batch: dict[str, Any]) -> dict[str, Any]:
    columns = job.parameters.model
    return {name: batch[name] for name in (*columns.id_columns, *columns.continuous)}


def build_model(config: ClickConfig, precision: str, seed: int) -> keras.Model:
    """The model, or what the builder builds, with initial weights that depend on the seed alone.

    A builder is called as ``build(sizes, continuous, **builder_options)`` under the dtype policy of the precision.
    """
    parameters = config.parameters
    if parameters.builder is None:
        return network(config.tag)(config.sizes, parameters.model, precision=precision, seed=seed)
    keras.utils.set_random_seed(seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    try:
        arguments = dict(config.sizes), parameters.model.continuous
        model = build_by_path(f"{config.tag}.builder", parameters.builder, *arguments, **parameters.builder_options)
        _check_built(config, model)
    finally:
        keras.config.set_dtype_policy(before)
    return model


def _check_built(config: ClickConfig, model: Any) -> None:
    """Two rows go in, two logits must come out."""
    where = f"{config.tag}.builder: {config.parameters.builder}"
    if not isinstance(model, keras.Model):
        raise UserError(f"{where} returned {type(model).__name__}, expected a keras.Model")
    rows = {name: tf.zeros([2], tf.int32) for name in config.sizes}
    rows |= {name: tf.zeros([2], tf.float32) for name in config.parameters.model.continuous}
    try:
        shape = tuple(model(rows, training=False).shape)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{where}: the model cannot be called with a dict of columns: {first}") from error
    if shape != (2, 1):
        raise UserError(f"{where}: the model returns shape {shape} for 2 rows, expected logits of shape (2, 1)")


def save_model(job: ClickJob, task: KerasTask, folder: Path) -> None:
    """``model.keras``, in float32 whatever it was trained in, and ``config.json``; into a folder that exists."""
    published = build_model(job.config, "fp32", job.seed)
    for target, source in zip(published.weights, task.model.weights, strict=True):
        target.assign(source.value.numpy())
    published.save(folder / "model.keras")
    write_config(job.config, folder)
