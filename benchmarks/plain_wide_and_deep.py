"""What a user would write: Wide & Deep of Keras' own layers, and ``fit``.

``python -m benchmarks.plain_wide_and_deep SPEC EPOCHS`` takes the specification of a training job of ours, builds the
same columns and widths, and prints samples per second of each epoch as JSON.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

from tandem.batches.columns import LABEL, read_column_rows
from tandem.training.wide_and_deep_job import WideAndDeepJob


def build(job: WideAndDeepJob) -> keras.Model:
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


class Speeds(keras.callbacks.Callback):  # type: ignore[misc]
    """Samples per second of each epoch."""

    def __init__(self, rows: int) -> None:
        super().__init__()
        self.rows, self.found = rows, []

    def on_epoch_begin(self, *_: Any) -> None:
        self.started = time.perf_counter()

    def on_epoch_end(self, *_: Any) -> None:
        self.found.append(self.rows / (time.perf_counter() - self.started))


def main() -> None:
    """Train and print the speed of every epoch."""
    job = WideAndDeepJob.model_validate_json(Path(sys.argv[1]).read_text())
    rows = read_column_rows(job.train, (*job.sizes, LABEL), job.parameters.model.continuous)
    names = (*job.parameters.model.id_columns, *job.parameters.model.continuous)
    speeds = Speeds(len(rows))
    inputs = {name: rows.column(name) for name in names}
    build(job).fit(
        inputs,
        rows.column(LABEL),
        batch_size=job.parameters.batch_size,
        epochs=int(sys.argv[2]),
        verbose=0,
        callbacks=[speeds],
    )
    print(json.dumps(speeds.found))


if __name__ == "__main__":
    main()
