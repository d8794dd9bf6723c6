"""DeepFM (Guo et al. 2017, arXiv:1703.04247) in Keras: a factorisation machine beside a deep network, on one embedding.

    first order: one weight for each id of the wide columns, gathered and added up
    pairs:       the scalar products of the embeddings of all pairs of embedded columns, added up
    deep:        the same embeddings, indicators and numbers -> [Dense -> batch norm -> ReLU -> dropout] x n -> Dense(1)
    logit:       first order + pairs + deep

In the paper every column has both a weight and an embedding: name it in ``wide_base`` and in ``embeddings``. Crossed
columns (``wide_cross``) are not needed, as pairs of ids are what the factorisation machine learns.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tandem.errors import UserError
from tandem.models.click.keras_parts import Columns, deep, embedded, first_order, policy_of
from tandem.parameters.click import ClickModelParameters


@keras.saving.register_keras_serializable(package="tandem")
class PairwiseProducts(keras.layers.Layer):  # type: ignore[misc]
    """The second-order term of a factorisation machine (Rendle 2010): [batch, columns, dim] -> [batch, 1].

    The sum of the scalar products of all pairs of different columns. Half of (the square of the sum less the sum of
    the squares) is that same sum, in time linear in the number of columns.
    """

    def call(self, rows: Any) -> Any:
        """The sums."""
        square_of_sum = tf.square(tf.reduce_sum(rows, axis=1))
        sum_of_squares = tf.reduce_sum(tf.square(rows), axis=1)
        return 0.5 * tf.reduce_sum(square_of_sum - sum_of_squares, axis=1, keepdims=True)

    def compute_output_shape(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """[batch, 1]."""
        return (shape[0], 1)


def build_deepfm(
    sizes: Mapping[str, int], parameters: ClickModelParameters, *, precision: str = "fp32", seed: int = 0
) -> keras.Model:
    """The model with its initial weights, which depend on the seed alone.

    Takes a dict of the columns that the parameters name, ids int32 [batch] and numbers float32 [batch]; returns logits,
    float32 [batch, 1].

    Args:
        sizes: number of ids of each id column, 0 (unknown) included.
        parameters: columns, widths, dropout.
        precision: ``bf16`` gathers embeddings and computes the dense network in bfloat16; weights, sums and logits stay
            float32.
        seed: of weights and dropout.

    Raises:
        UserError: fewer than two columns are embedded, which leaves no pair to multiply.
    """
    if len(parameters.embeddings) < 2:
        found = ", ".join(parameters.embeddings) or "none"
        raise UserError(
            f"deepfm.model.embeddings: expected at least two columns, whose pairs are multiplied, found {found}"
        )
    policy, columns = policy_of(precision), Columns.of(sizes, parameters)
    rows = embedded(columns, parameters, policy, seed)
    terms = [PairwiseProducts(name="pairs", dtype="float32")(rows), deep(columns, rows, parameters, policy, seed)]
    if parameters.wide:
        terms.insert(0, first_order(columns, parameters.wide))
    return columns.model(terms, "deepfm")
