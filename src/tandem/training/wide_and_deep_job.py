"""What a rank of Wide & Deep is told, as JSON; and whether the parameters fit the data. No framework is imported."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tandem.errors import UserError, did_you_mean
from tandem.parameters import WideAndDeepParameters
from tandem.storage.locations import Location


class WideAndDeepJob(BaseModel):
    """Train Wide & Deep, or a model of the user's own, on these rows; paths are absolute.

    sizes: number of ids, 0 = unknown included, of every id column that the model reads.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    parameters: WideAndDeepParameters
    seed: int
    train: Location
    sizes: dict[str, int]
    feature_spec_fingerprint: str
    staging: Path
    checkpoints: Path


def sizes_of_columns(parameters: WideAndDeepParameters, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes of the id columns that the parameters name; sizes: those of all id columns of the data.

    Raises UserError where a column is not one of them.
    """
    for name in parameters.model.id_columns:
        if name not in sizes:
            raise UserError(f"wnd.model: the rows have no id column {name}; {did_you_mean(name, sizes)}")
    return {name: sizes[name] for name in parameters.model.id_columns}
