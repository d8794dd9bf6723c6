"""Losses of two towers in TensorFlow: small functions that a loss is put together from.

Letters: B rows of this rank, N rows of all ranks, U distinct items of the global batch, D the vectors' width.

*In-batch* means the global batch: the candidates of a row are the distinct items of the rows of **all** ranks, so the
number of ranks does not change the loss. Vectors are gathered, and the gradient by a gathered vector, summed over the
ranks, goes back to the rank that computed it.
"""

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

from tandem.parameters import SoftmaxParameters

Gather = Callable[[tf.Tensor, str], tf.Tensor]
"""Rows [n, …] of every rank one below the other, in rank order; numbers of rows may differ. Differentiable.

The name is the same on all ranks, and in one graph used once.
"""

NEVER = -1e30
"""A logit that a softmax gives no share."""


class Positives(NamedTuple):
    """The positive rows of this rank.

    user_vectors: [distinct users, D], item_vectors: [distinct items, D], float32; users, items: [B], each row's place
    in them; user_keys, item_keys: int64 [distinct users or items], the same number for the same user or item on every
    rank; item_probabilities: [distinct items], of being among the items of a global batch.
    """

    user_vectors: tf.Tensor
    item_vectors: tf.Tensor
    users: tf.Tensor
    items: tf.Tensor
    user_keys: tf.Tensor
    item_keys: tf.Tensor
    item_probabilities: tf.Tensor


class Candidates(NamedTuple):
    """The distinct items of the global batch.

    vectors: [U, D]; probabilities: [U]; columns: int32 [B], where this rank's rows find their own item; taken: bool
    [B, U], items that the row's user took elsewhere in the global batch.
    """

    vectors: tf.Tensor
    probabilities: tf.Tensor
    columns: tf.Tensor
    taken: tf.Tensor


def softmax_loss(positives: Positives, parameters: SoftmaxParameters, gather: Gather) -> tf.Tensor:
    """Sum over this rank's rows of ``-log softmax`` of their own item among the candidates, a float32 scalar."""
    candidates = gather_candidates(positives, gather)
    users = tf.gather(positives.user_vectors, positives.users)
    logits = tf.matmul(users, candidates.vectors, transpose_b=True) / parameters.temperature
    if parameters.correct_sampling:
        logits = correct_sampling(logits, candidates.probabilities)
    if parameters.remove_accidental_hits:
        logits = remove_accidental_hits(logits, candidates.taken)
    return cross_entropy(logits, candidates.columns)


def pointwise_loss(products: tf.Tensor, labels: tf.Tensor, scale: tf.Tensor, bias: tf.Tensor) -> tf.Tensor:
    """Sum of the binary cross entropies of ``scale * product + bias``: a cosine alone never leaves -1..1.

    products, labels: [B]; scale, bias: scalars that are learnt.
    """
    logits = scale * products + bias
    return tf.reduce_sum(tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits))


def correct_sampling(logits: tf.Tensor, probabilities: tf.Tensor) -> tf.Tensor:
    """Take off what popular items owe to being drawn more often (Yi et al. 2019, section 3).

    The sum of ``exp(logit) / probability`` over the drawn items is on average the sum of ``exp(logit)`` over all items.
    logits: [B, U]; probabilities: [U], of an item being among the drawn.
    """
    return logits - tf.math.log(tf.maximum(probabilities, 1e-12))[tf.newaxis, :]


def remove_accidental_hits(logits: tf.Tensor, hits: tf.Tensor) -> tf.Tensor:
    """Take out candidates that are no negatives; hits: bool [B, U]."""
    return tf.where(hits, tf.constant(NEVER, logits.dtype), logits)


def cross_entropy(logits: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Sum over rows of ``-log softmax(logits)[column]``; logits: [B, U], columns: int32 [B]."""
    return tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(columns, logits))


def gather_candidates(positives: Positives, gather: Gather) -> Candidates:
    """The distinct items of all ranks' rows, each once, however many rows and ranks it stands in."""
    item_keys = gather(positives.item_keys, "item_keys")
    distinct, place = tf.unique(item_keys)
    first = tf.math.unsorted_segment_min(tf.range(tf.size(item_keys)), place, tf.size(distinct))
    own = _own_place(positives.item_keys, item_keys, place)
    columns = tf.gather(own, positives.items)
    return Candidates(
        vectors=tf.gather(gather(positives.item_vectors, "item_vectors"), first),
        probabilities=tf.gather(gather(positives.item_probabilities, "item_probabilities"), first),
        columns=columns,
        taken=_taken(positives, columns, tf.size(distinct), gather),
    )


def _own_place(own_keys: tf.Tensor, all_keys: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
    """Column of each of this rank's keys, int32; place: column of each of all ranks' keys."""
    order = tf.argsort(all_keys)
    found = tf.searchsorted(tf.gather(all_keys, order), own_keys)
    return tf.gather(place, tf.gather(order, found))


def _taken(positives: Positives, columns: tf.Tensor, num_columns: tf.Tensor, gather: Gather) -> tf.Tensor:
    """bool [B, U]: the column is an item that the row's user took, though not in this row."""
    row_keys = gather(tf.gather(positives.user_keys, positives.users), "user_keys")
    row_columns = gather(columns, "columns")
    order = tf.argsort(positives.user_keys)
    sorted_keys = tf.gather(positives.user_keys, order)
    place = tf.minimum(tf.searchsorted(sorted_keys, row_keys), tf.size(sorted_keys) - 1)
    here = tf.gather(sorted_keys, place) == row_keys
    pairs = tf.stack([tf.gather(order, place), row_columns], 1)
    pairs = tf.boolean_mask(pairs, here)
    shape = tf.stack([tf.size(positives.user_keys), num_columns])
    by_user = tf.tensor_scatter_nd_update(tf.zeros(shape, tf.bool), pairs, tf.ones(tf.shape(pairs)[:1], tf.bool))
    own = tf.one_hot(columns, num_columns, on_value=False, off_value=True, dtype=tf.bool)
    return tf.gather(by_user, positives.users) & own
