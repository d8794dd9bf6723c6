"""What the towers were made of, beside their weights; to be read where Keras is not imported."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tandem.errors import UserError
from tandem.parameters import TwoTowerModelParameters

USER_FILE, ITEM_FILE, CONFIG_FILE = "user_tower.keras", "item_tower.keras", "config.json"


class TwoTowerConfig(BaseModel):
    """What the towers were made of. sizes: of each id column, the number of ids, 0 included.

    scale, bias: of the pointwise loss, learnt: a probability is ``sigmoid(scale * product + bias)``. None where the
    loss learns none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: Literal[1] = 1
    parameters: TwoTowerModelParameters
    builder: str | None = None
    builder_options: dict[str, Any] = {}
    sizes: dict[str, int]
    feature_spec_fingerprint: str
    scale: float | None = None
    bias: float | None = None
    model_fingerprint: str = ""

    def size(self, column: str) -> int:
        """Rows of the column's table. Raises UserError where the feature spec has no such id column."""
        if column not in self.sizes:
            known = ", ".join(sorted(self.sizes))
            raise UserError(f"two_tower.model: the feature spec has no id column {column}; it has {known}")
        return self.sizes[column]


def load_config(folder: Path) -> TwoTowerConfig:
    """The configuration beside the towers; UserError where it is missing or damaged."""
    path = folder / CONFIG_FILE
    if not path.is_file():
        raise UserError(f"{path} does not exist; train first: kedro run --pipelines two_tower")
    try:
        return TwoTowerConfig.model_validate_json(path.read_text())
    except ValidationError as error:
        raise UserError(f"{path} is damaged ({error.errors()[0]['msg']}); train again") from error
