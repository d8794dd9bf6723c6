"""The row-wise update against Keras' own optimizers over whole tables."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tandem.distributed.ranks.communicator import SingleRank
from tandem.training.keras import row_updates as rowwise
from tandem.training.keras.optimizer import RankOptimizer
from tandem.training.keras.row_updates import AdamRows

ROWS, DIM, STEPS = 300, 4, 120
START = np.random.default_rng(1).normal(size=(ROWS, DIM)).astype(np.float32)


def draws(step: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Ids, some twice and most rare, and their gradients."""
    rng = np.random.default_rng(step)
    ids = rng.zipf(1.5, 20) % ROWS
    return ids.astype(np.int32), rng.normal(size=(20, DIM)).astype(np.float32)


def by_keras(kind: str, rate: float, steps: int = STEPS) -> np.ndarray[Any, Any]:
    table = keras.Variable(START)
    optimizer = {"adam": keras.optimizers.Adam, "adagrad": keras.optimizers.Adagrad}[kind](rate)
    optimizer.build([table])
    for step in range(steps):
        ids, grads = draws(step)
        dense = np.zeros((ROWS, DIM), np.float32)
        np.add.at(dense, ids, grads)
        optimizer.apply([tf.constant(dense)], [table])
    return table.numpy()


def row_by_row(
    kind: Any, rate: float, *, settling: bool = True, min_rows: int = 1, settle_every: int = STEPS, steps: int = STEPS
) -> tuple[RankOptimizer, np.ndarray[Any, Any]]:
    table = tf.Variable(START)
    tables = {"settling" if settling else "lazy": [table]}
    optimizer = RankOptimizer([table], kind, SingleRank(), steps=1000, min_rows=min_rows, **tables)

    @tf.function(autograph=False)
    def apply(ids: Any, grads: Any) -> None:
        optimizer.apply([tf.IndexedSlices(grads, ids)], tf.constant(rate), 20)

    for step in range(steps):
        apply(*draws(step))
        if (step + 1) % settle_every == 0:
            optimizer.settle()
    return optimizer, table.numpy()


@pytest.mark.parametrize("min_rows", [1, ROWS + 1], ids=["row by row", "dense"])
@pytest.mark.parametrize(("kind", "rate", "tolerance"), [("adam", 0.01, 2e-5), ("adagrad", 0.1, 1e-5)])
def test_rows_end_where_keras_takes_the_whole_table(kind: str, rate: float, tolerance: float, min_rows: int) -> None:
    expected = by_keras(kind, rate)
    _, found = row_by_row(kind, rate, min_rows=min_rows)
    assert np.abs(expected - START).max() > 0.1
    assert np.abs(found - expected).max() < tolerance


def test_settling_in_between_changes_nothing() -> None:
    _, once = row_by_row("adam", 0.01)
    _, often = row_by_row("adam", 0.01, settle_every=8)
    assert np.abs(once - often).max() < 1e-5


def test_pending_is_what_a_reader_must_subtract() -> None:
    optimizer, unsettled = row_by_row("adam", 0.01, settle_every=STEPS + 1)
    pending = optimizer.rows_of(optimizer.weights[0]).pending(tf.range(ROWS)).numpy()
    expected = by_keras("adam", 0.01)
    assert np.abs(unsettled - expected).max() > 0.01
    assert np.abs(unsettled - pending - expected).max() < 2e-5


def test_a_settled_table_owes_nothing_once_momentum_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rowwise, "SETTLED_AT_ONCE", 64)  # several blocks
    optimizer, _ = row_by_row("adam", 0.01)
    (rows,) = optimizer.states
    assert rows.touched.numpy().any()
    optimizer.clock.assign_add(rowwise.SPENT_STEPS)
    optimizer.settle()
    assert not rows.touched.numpy().any()
    before = optimizer.weights[0].numpy()
    optimizer.settle()
    np.testing.assert_array_equal(optimizer.weights[0].numpy(), before)


def test_rows_of_another_reader_stand_still_between_their_gradients() -> None:
    _, lazy = row_by_row("adam", 0.01, settling=False)
    _, more = row_by_row("adam", 0.01, settling=False, steps=STEPS - 1)
    ids, _ = draws(STEPS - 1)
    rest = np.setdiff1d(np.arange(ROWS), ids)
    np.testing.assert_array_equal(lazy[rest], more[rest])
    assert (lazy[ids] != more[ids]).all()


def test_a_table_that_is_read_whole_is_updated_whole() -> None:
    table = tf.Variable(START)
    optimizer = RankOptimizer([table], "adam", SingleRank(), steps=1000, min_rows=1, lazy=[table])
    optimizer.apply([tf.ones_like(table)], tf.constant(0.1), 1)
    np.testing.assert_allclose(table.numpy(), START - 0.1, atol=1e-5)


def test_small_tables_and_other_weights_are_dense() -> None:
    table, kernel = tf.Variable(START), tf.Variable(START)
    optimizer = RankOptimizer([table, kernel], "adam", SingleRank(), steps=1000, min_rows=ROWS, settling=[table])
    assert isinstance(optimizer.states[0], AdamRows)
    assert not isinstance(optimizer.states[1], AdamRows)
    assert optimizer.rows_of(table) is optimizer.states[0]
    assert optimizer.rows_of(kernel) is None


def test_all_state_is_named_for_a_checkpoint() -> None:
    optimizer, _ = row_by_row("adam", 0.01, steps=3)
    assert set(optimizer.state()) == {"clock", "momentum", "0.slots", "0.touched"}
    assert int(optimizer.state()["clock"]) == 3
