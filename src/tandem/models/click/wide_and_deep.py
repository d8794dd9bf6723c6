"""Wide & Deep (Cheng et al. 2016) in Keras: a linear model of ids and crossed ids beside a deep network.

    wide:  one weight for each id of the base and crossed columns, gathered and added up
    deep:  embeddings, indicators and numbers -> [Dense -> batch norm -> ReLU -> dropout] x n -> Dense(1)
    logit: wide + deep

The dense layers have no bias of their own: batch normalisation subtracts it again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from tandem.layers.keras_features import FirstDense, Indicators, NormReluDropout, Numbers, RowEmbedding, RowSum
from tandem.parameters.wide_and_deep import WideAndDeepModelParameters


def build_wide_and_deep(
    sizes: Mapping[str, int], parameters: WideAndDeepModelParameters, *, precision: str = "fp32", seed: int = 0
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
    policy = "mixed_bfloat16" if precision == "bf16" else "float32"
    ids = {name: keras.Input((), dtype="int32", name=name) for name in parameters.id_columns}
    numbers = {name: keras.Input((), dtype="float32", name=name) for name in parameters.continuous}
    outputs = []
    if parameters.wide:
        outputs.append(_wide(ids, _chosen(sizes, parameters.wide)))
    if parameters.has_deep:
        outputs.append(_deep(ids, numbers, sizes, parameters, policy, seed))
    logit = outputs[0] if len(outputs) == 1 else keras.layers.Add(name="logit", dtype="float32")(outputs)
    return keras.Model({**ids, **numbers}, logit, name="wide_and_deep")


def _wide(ids: Mapping[str, Any], sizes: dict[str, int]) -> Any:
    rows = RowEmbedding(sizes, 1, initializer="zeros", dtype="float32", name="wide_weights")
    return RowSum(name="wide", dtype="float32")(rows([ids[name] for name in sizes]))


def _deep(
    ids: Mapping[str, Any],
    numbers: Mapping[str, Any],
    sizes: Mapping[str, int],
    parameters: WideAndDeepModelParameters,
    policy: str,
    seed: int,
) -> Any:
    """Logits of the deep part, float32 [batch, 1]."""
    hidden = _deep_input(ids, numbers, sizes, parameters, policy, seed)
    for index, width in enumerate(parameters.hidden_units):
        name, own_seed = f"dense_{index + 1}", seed + index + 1
        if index == 0 and len(hidden) == 2:
            values = FirstDense(width, seed=own_seed, dtype=policy, name=name)(hidden)
        else:
            initializer = keras.initializers.GlorotUniform(seed=own_seed)
            dense = keras.layers.Dense(width, use_bias=False, kernel_initializer=initializer, dtype=policy, name=name)
            values = dense(hidden[0])
        hidden = [NormReluDropout(parameters.dropout, seed=own_seed, dtype=policy, name=f"norm_{index + 1}")(values)]
    if len(hidden) == 2:
        hidden = [keras.layers.Concatenate(dtype="float32", name="deep_input")(hidden)]
    initializer = keras.initializers.GlorotUniform(seed=seed + len(parameters.hidden_units) + 1)
    return keras.layers.Dense(1, kernel_initializer=initializer, dtype="float32", name="deep")(hidden[0])


def _deep_input(
    ids: Mapping[str, Any],
    numbers: Mapping[str, Any],
    sizes: Mapping[str, int],
    parameters: WideAndDeepModelParameters,
    policy: str,
    seed: int,
) -> list[Any]:
    """What is learnt and what is given, each [batch, n]; one of them may be missing."""
    learnt, given = [], []
    if parameters.embeddings:
        chosen = _chosen(sizes, parameters.embeddings)
        initializer = keras.initializers.RandomUniform(-0.05, 0.05, seed=seed)
        table = RowEmbedding(chosen, parameters.embedding_dim, initializer, dtype=policy, name="embeddings")
        rows = table([ids[name] for name in chosen])
        learnt = [keras.layers.Flatten(dtype=policy, name="embedded")(rows)]
    if parameters.indicators:
        chosen = _chosen(sizes, parameters.indicators)
        given.append(Indicators(chosen, dtype=policy, name="indicators")([ids[name] for name in chosen]))
    if parameters.continuous:
        given.append(Numbers(dtype=policy, name="numbers")([numbers[name] for name in parameters.continuous]))
    if len(given) == 2:
        given = [keras.layers.Concatenate(dtype=policy, name="given")(given)]
    return learnt + given


def _chosen(sizes: Mapping[str, int], names: Sequence[str]) -> dict[str, int]:
    return {name: sizes[name] for name in names}
