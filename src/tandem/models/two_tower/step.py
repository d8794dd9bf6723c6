"""The loss of two towers on the rows of a step: each distinct user and item goes through its tower once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tandem.distributed.ranks.communicator import Communicator
from tandem.distributed.ranks.mpi_limits import check_gathered
from tandem.layers.towers import Score
from tandem.models.two_tower.keys import SHARE, Side, key_names
from tandem.models.two_tower.losses import Positives, pointwise_loss, softmax_loss
from tandem.models.two_tower.vectors import Tower
from tandem.parameters import TowerParameters, TwoTowerParameters
from tandem.training.keras.task import Columns


class Distinct(NamedTuple):
    """The distinct users or items of B rows: vectors float32 [n, dim], keys int64 [n], the first row of each int32 [n],
    and places, int32 [B], of the rows among them."""

    vectors: Any
    keys: Any
    first: Any
    places: Any


def loss_of_step(
    user: Tower, item: Tower, score: Score, parameters: TwoTowerParameters, batch_size: int, communicator: Communicator
) -> Callable[[Columns], Any]:
    """The function from the columns of a step's rows to the sum of their losses.

    Softmax takes positives alone, and their negatives from the items of all ranks' rows of the step, of which there are
    ``batch_size``. Raises UserError where their vectors are more numbers than MPI can count.
    """
    if parameters.loss == "softmax" and communicator.size > 1:
        rows = -(-batch_size // communicator.size)
        check_gathered(rows * parameters.model.output_dim, communicator.size, "the items' vectors of two_tower")

    def pointwise(columns: Columns) -> Any:
        users, items = _distinct(columns, "user", user), _distinct(columns, "item", item)
        pairs = [tf.gather(side.vectors, side.places) for side in (users, items)]
        return pointwise_loss(tf.reduce_sum(pairs[0] * pairs[1], 1), columns["label"], score.scale, score.bias)

    def softmax(columns: Columns) -> Any:
        users, items = _distinct(columns, "user", user), _distinct(columns, "item", item)
        shares = tf.gather(columns[SHARE], items.first)
        positives = Positives(
            user_vectors=users.vectors,
            item_vectors=items.vectors,
            users=users.places,
            items=items.places,
            user_keys=users.keys,
            item_keys=items.keys,
            item_probabilities=chance_in_batch(shares, batch_size),
        )
        return softmax_loss(positives, parameters.softmax, communicator.allgather_in_graph)

    return softmax if parameters.loss == "softmax" else pointwise


def chance_in_batch(shares: Any, rows: int) -> Any:
    """The probability that an item of this share of the rows is in a batch of so many, float32 [n]."""
    return -tf.math.expm1(rows * tf.math.log1p(-tf.minimum(shares, 1.0 - 1e-6)))


def _distinct(columns: Columns, side: Side, tower: Tower) -> Distinct:
    keys = _keys(columns, side)
    distinct, places = tf.unique(keys)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(keys)), places, tf.size(distinct))
    return Distinct(_vectors(columns, tower.columns, first, tower), distinct, first, places)


def _vectors(columns: Columns, names: TowerParameters, rows: Any, tower: Tower) -> Any:
    return tower.call({name: tf.gather(columns[name], rows) for name in names.columns}, training=True)


def _keys(columns: Columns, side: Side) -> Any:
    """int64 [B], of their two halves."""
    high, low = (columns[name] for name in key_names(side))
    return tf.bitcast(tf.stack([low, high], axis=1), tf.int64)
