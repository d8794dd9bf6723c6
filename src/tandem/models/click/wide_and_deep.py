"""Wide & Deep (Cheng et al. 2016) in Keras: a linear model of ids and crossed ids beside a deep network.

wide:  one weight for each id of the base and crossed columns, gathered and added up
deep:  embeddings, indicators and numbers -> [Dense -> batch norm -> ReLU -> dropout] x n -> Dense(1)
logit: wide + deep
"""

from collections.abc import Mapping

import keras

from tandem.models.click.keras_parts import Columns, deep, embedded, first_order, policy_of
from tandem.parameters.click import ClickModelParameters


def build_wide_and_deep(
    sizes: Mapping[str, int], parameters: ClickModelParameters, *, precision: str = "fp32", seed: int = 0
) -> keras.Model:
    """The model with its initial weights, which depend on the seed alone.

    Takes a dict of the columns that the parameters name, ids int32 [batch] and numbers float32 [batch]; returns logits,
    float32 [batch, 1].

    Args:
        sizes: number of ids of each id column, 0 (unknown) included.
        parameters: columns, widths, dropout.
        precision: ``bf16`` computes the dense network in bfloat16; weights, wide part and logits stay float32.
        seed: of weights and dropout.
    """
    policy, columns = policy_of(precision), Columns.of(sizes, parameters)
    terms = []
    if parameters.wide:
        terms.append(first_order(columns, parameters.wide))
    if parameters.has_deep:
        rows = embedded(columns, parameters, policy, seed) if parameters.embeddings else None
        terms.append(deep(columns, rows, parameters, policy, seed))
    return columns.model(terms, "wide_and_deep")
