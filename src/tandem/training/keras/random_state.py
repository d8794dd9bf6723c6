"""What a Keras model keeps beside its trained weights: the states of its random layers, and moving averages."""

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from tandem.distributed.ranks.communicator import Communicator


def seed_layers(model: keras.Model, key: Sequence[int]) -> None:
    """Set the state of every random layer (``keras.random.SeedGenerator``) to a draw of its own from the key."""
    weights = {id(weight) for weight in model.weights}
    states = [one for one in model.variables if id(one) not in weights and tuple(one.shape) == (2,)]
    for index, state in enumerate(states):
        state.assign(np.random.default_rng([*key, index]).integers(0, 1 << 31, 2, dtype=np.uint32))


def average_untrained(model: keras.Model, communicator: Communicator) -> None:
    """Replace the float weights that are not trained, such as moving averages, by their mean over the ranks."""
    if communicator.size == 1:
        return
    for weight in (one.value for one in model.non_trainable_weights):
        if weight.dtype.is_floating:
            weight.assign(communicator.allreduce_sum_(tf.convert_to_tensor(weight)) / communicator.size)
