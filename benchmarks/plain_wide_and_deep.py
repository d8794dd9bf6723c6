"""What a user would write: Wide & Deep of Keras' own layers, and ``fit``.

``python -m benchmarks.plain_wide_and_deep SPEC EPOCHS`` takes the specification of a training job of ours, builds the
same columns and widths, trains on the same rows, and prints as JSON the samples per second of each epoch and the AUC
after it, of the rows that the job holds out (none without such rows).
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from tandem.batches.columns import LABEL, ColumnRows, held_out, read_column_rows
from tandem.evaluation.classification import classification_metrics
from tandem.models.click.job import ClickJob

Columns = Callable[[ColumnRows], dict[str, Any]]


def build(job: ClickJob) -> keras.Model:
    """One-hot matrices for base, crossed and indicator columns, an Embedding for each other, Dense and Adam."""
    chosen = job.parameters.model
    ids = {name: keras.Input((), dtype="int32", name=name) for name in chosen.id_columns}
    numbers = {name: keras.Input((1,), name=name) for name in chosen.continuous}
    one_hot = {name: keras.layers.CategoryEncoding(job.sizes[name], output_mode="one_hot") for name in ids}
    wide = keras.layers.Concatenate()([one_hot[name](ids[name]) for name in chosen.wide])
    parts = [one_hot[name](ids[name]) for name in chosen.indicators]
    parts += [keras.layers.Embedding(job.sizes[name], chosen.embedding_dim)(ids[name]) for name in chosen.embeddings]
    deep = keras.layers.Concatenate()([*parts, *numbers.values()])
    for width in chosen.hidden_units:
        deep = keras.layers.Dense(width)(deep)
        deep = keras.layers.ReLU()(keras.layers.BatchNormalization()(deep))
        deep = keras.layers.Dropout(chosen.dropout)(deep)
    logit = keras.layers.Add()([keras.layers.Dense(1)(wide), keras.layers.Dense(1)(deep)])
    model = keras.Model({**ids, **numbers}, keras.layers.Activation("sigmoid")(logit))
    model.compile(keras.optimizers.Adam(job.parameters.learning_rate), "binary_crossentropy")
    return model


class Epochs(keras.callbacks.Callback):  # type: ignore[misc]
    """Samples per second of each epoch, and the AUC of the rows held out after it."""

    def __init__(self, rows: int, held_out: ColumnRows, columns: Columns) -> None:
        super().__init__()
        self.rows, self.held_out, self.columns = rows, held_out, columns
        self.speeds: list[float] = []
        self.aucs: list[float | None] = []

    def on_epoch_begin(self, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, *_: Any) -> None:
        self.speeds.append(self.rows / (time.perf_counter() - self.started))
        if len(self.held_out):
            scores = self.model.predict(self.columns(self.held_out), batch_size=4096, verbose=0)[:, 0]
            self.aucs.append(classification_metrics(self.held_out.column(LABEL), scores)["auc"])


def main() -> None:
    """Train and print."""
    job = ClickJob.model_validate_json(Path(sys.argv[1]).read_text())
    chosen = job.parameters
    names = (*chosen.model.id_columns, *chosen.model.continuous)
    rows = read_column_rows(job.train, (*job.sizes, LABEL), chosen.model.continuous)
    validates = held_out(job.train, chosen.validation_fraction, job.seed)

    def columns(some: ColumnRows) -> dict[str, Any]:
        return {name: some.column(name) for name in names}

    train = rows.where(~validates)
    keras.utils.set_random_seed(job.seed)
    epochs, model = Epochs(len(train), rows.where(validates), columns), build(job)
    labels = train.column(LABEL)
    model.fit(
        columns(train), labels, batch_size=chosen.batch_size, epochs=int(sys.argv[2]), verbose=0, callbacks=[epochs]
    )
    print(json.dumps({"speeds": epochs.speeds, "aucs": epochs.aucs}))


if __name__ == "__main__":
    main()
