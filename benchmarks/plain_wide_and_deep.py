"""What a user would write: Wide & Deep of Keras' own layers, and ``fit``.

``python -m benchmarks.plain_wide_and_deep SPEC TEST EPOCHS`` takes the specification of a training job of ours, builds
the same columns and widths, and prints samples per second of each epoch and the AUC of the rows in TEST as JSON.
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
from tandem.evaluation.classification import classification_metrics
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
    """Train, score, and print."""
    job = WideAndDeepJob.model_validate_json(Path(sys.argv[1]).read_text())
    names = (*job.parameters.model.id_columns, *job.parameters.model.continuous)

    def columns(path: Path) -> tuple[dict[str, Any], Any]:
        rows = read_column_rows(path, (*job.sizes, LABEL), job.parameters.model.continuous)
        return {name: rows.column(name) for name in names}, rows.column(LABEL)

    inputs, labels = columns(job.train)
    keras.utils.set_random_seed(job.seed)
    speeds, model, batch = Speeds(len(labels)), build(job), job.parameters.batch_size
    model.fit(inputs, labels, batch_size=batch, epochs=int(sys.argv[3]), verbose=0, callbacks=[speeds])
    asked, truth = columns(Path(sys.argv[2]))
    scores = model.predict(asked, batch_size=batch, verbose=0)[:, 0]
    auc = classification_metrics(truth, scores)["auc"]
    print(json.dumps({"speeds": speeds.found, "auc": auc}))


if __name__ == "__main__":
    main()
