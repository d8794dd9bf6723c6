"""Train Wide & Deep, or a Keras model of the user's own on the same rows, on one rank of many."""

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
from tandem.models.click.job import WideAndDeepJob
from tandem.models.click.rows import wide_and_deep_rows
from tandem.models.click.validation import click_metrics
from tandem.models.click.wide_and_deep import build_wide_and_deep
from tandem.training.keras.predictor import Predictor
from tandem.training.keras.task import KerasTask
from tandem.training.keras.trainer import KerasTrainer
from tandem.training.phases import Training
from tandem.training.task import LoopParameters, Phase


def train_wide_and_deep(job: WideAndDeepJob, communicator: Communicator, emit: Emit) -> Training[KerasTask]:
    """The whole job of a rank: train and save."""
    parameters = LoopParameters.of(job.parameters)
    training = Training(
        KerasTrainer, lambda phase: wide_and_deep_task(job, phase, communicator), job, parameters, communicator, emit
    )
    training.fit()
    training.save(lambda folder: save_model(job, training.task.model, folder))
    return training


def wide_and_deep_task(job: WideAndDeepJob, phase: Phase, communicator: Communicator) -> KerasTask:
    """A new model, this rank's rows of a phase, the loss and the validation.

    Raises UserError where a builder does not build what it should, or the rows are not fit to train on.
    """
    parameters, hold_out = job.parameters, phase == "search"
    training, watched = wide_and_deep_rows(job, communicator.rank, communicator.size, hold_out=hold_out)
    model = build_model(job, parameters.precision)
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
        name="wnd",
        title=parameters.title,
        model=model,
        rows=IdDropout(training, job.dropped_ids, parameters.unknown_rate),
        fingerprint=training.fingerprint,
        summed_loss=summed_loss,
        validate=(lambda: click_metrics(predict, watched, communicator)) if validated else None,
        identity=job.identity,
    )


def _inputs(job: WideAndDeepJob, batch: dict[str, Any]) -> dict[str, Any]:
    columns = job.parameters.model
    return {name: batch[name] for name in (*columns.id_columns, *columns.continuous)}


def build_model(job: WideAndDeepJob, precision: str) -> keras.Model:
    """Wide & Deep, or what the builder builds, with initial weights that depend on the seed alone.

    A builder is called as ``build(sizes, continuous, **builder_options)`` under the dtype policy of the precision.
    """
    if job.parameters.builder is None:
        return build_wide_and_deep(job.sizes, job.parameters.model, precision=precision, seed=job.seed)
    keras.utils.set_random_seed(job.seed)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision == "bf16" else "float32")
    try:
        options = job.parameters.builder_options
        model = build_by_path(
            "wnd.builder", job.parameters.builder, dict(job.sizes), job.parameters.model.continuous, **options
        )
        _check_built(job, model)
    finally:
        keras.config.set_dtype_policy(before)
    return model


def _check_built(job: WideAndDeepJob, model: Any) -> None:
    """Two rows go in, two logits must come out."""
    where = f"wnd.builder: {job.parameters.builder}"
    if not isinstance(model, keras.Model):
        raise UserError(f"{where} returned {type(model).__name__}, expected a keras.Model")
    rows = {name: tf.zeros([2], tf.int32) for name in job.sizes}
    rows |= {name: tf.zeros([2], tf.float32) for name in job.parameters.model.continuous}
    try:
        shape = tuple(model(rows, training=False).shape)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise UserError(f"{where}: the model cannot be called with a dict of columns: {first}") from error
    if shape != (2, 1):
        raise UserError(f"{where}: the model returns shape {shape} for 2 rows, expected logits of shape (2, 1)")


def save_model(job: WideAndDeepJob, trained: keras.Model, folder: Path) -> None:
    """``model.keras``, in float32 whatever it was trained in, and ``config.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    published = build_model(job, "fp32")
    for target, source in zip(published.weights, trained.weights, strict=True):
        target.assign(source.value.numpy())
    published.save(folder / "model.keras")
    write_config(job.config, folder)
