"""What the towers were made of, beside their weights; to be read where Keras is not imported."""

from typing import Any, Literal

from pydantic import Field

from tandem.artifacts import ModelConfig
from tandem.errors import UserError
from tandem.parameters import TwoTowerModelParameters

USER_FILE, ITEM_FILE = "user_tower.keras", "item_tower.keras"


class TwoTowerConfig(ModelConfig):
    """What the towers were made of. sizes: of each id column, the number of ids, 0 included.

    calibration: of the products, as the pointwise loss has learnt it, or else as it was fitted to held-out rows.
    """

    kind: Literal["two_tower"] = "two_tower"
    tag: Literal["two_tower"] = "two_tower"
    parameters: TwoTowerModelParameters
    builder: str | None = None
    builder_options: dict[str, Any] = Field(default={})
    sizes: dict[str, int]
    model_fingerprint: str = ""

    def size(self, column: str) -> int:
        """Rows of the column's table. Raises UserError where the feature spec has no such id column."""
        if column not in self.sizes:
            known = ", ".join(sorted(self.sizes))
            raise UserError(f"two_tower.model: the feature spec has no id column {column}; it has {known}")
        return self.sizes[column]
