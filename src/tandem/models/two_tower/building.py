"""The towers of a job: ours, or those of the user's own builder."""

import keras

from tandem.custom_models import build_by_path
from tandem.errors import UserError
from tandem.models.two_tower.config import TwoTowerConfig
from tandem.models.two_tower.network import Precision, build_towers, computing_in, input_columns

PARAMETER = "two_tower.builder"


def make_towers(config: TwoTowerConfig, precision: Precision, seed: int) -> tuple[keras.Model, keras.Model]:
    """(user_tower, item_tower) with initial weights that the seed decides.

    A builder is called as ``builder(config, **builder_options)``, with the sizes of the id columns in ``config.sizes``.
    Each of its two Keras models takes a dict of columns that ``two_tower.model`` names for its side, int32 or float32
    [batch], and returns float vectors [batch, dim] of one width.

    Raises UserError where a builder cannot be imported, raises, or returns something else.
    """
    if config.builder is None:
        return build_towers(config, precision, seed)
    keras.utils.set_random_seed(seed)
    with computing_in(precision):
        towers = build_by_path(PARAMETER, config.builder, config, **config.builder_options)
    _check(towers, config, config.builder)
    return towers[0], towers[1]


def _check(towers: object, config: TwoTowerConfig, path: str) -> None:
    if not (isinstance(towers, tuple) and len(towers) == 2 and all(isinstance(one, keras.Model) for one in towers)):
        raise UserError(f"{PARAMETER}: {path} must return (user_tower, item_tower), two Keras models")
    for tower, side in zip(towers, ("user", "item"), strict=True):
        named = config.parameters.user if side == "user" else config.parameters.item
        unknown = sorted(set(input_columns(tower)) - set(named.columns))
        if unknown:
            raise UserError(
                f"{PARAMETER}: the {side} tower of {path} reads {unknown[0]}, which is no column of "
                f"two_tower.model.{side}; add it there"
            )
    if len({tower.output_shape for tower in towers}) > 1 or len(towers[0].output_shape) != 2:
        shapes = " and ".join(str(tower.output_shape) for tower in towers)
        raise UserError(f"{PARAMETER}: the towers of {path} return {shapes}; both must return [batch, the same width]")
