"""The reports that there are, whoever made them: what a report may put its own figures beside."""

import json
import logging
from typing import Any, NoReturn

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError
from tandem.storage.locations import local_path

logger = logging.getLogger(__name__)

FILE = "metrics.json"


class ReportsDataset(AbstractDataset[NoReturn, dict[str, Any]]):
    """The content of ``metrics.json`` in every folder of a folder, by the folder's name; there may be none."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        """Args: filepath: the folder of the folders; metadata: for kedro-viz."""
        self._filepath = local_path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """The reports, in the order of their names; one that is damaged is left out, and told."""
        found = {}
        for file in sorted(self._filepath.glob(f"*/{FILE}")):
            try:
                found[file.parent.name] = json.loads(file.read_text(encoding="utf-8"))
            except (ValueError, OSError) as error:
                logger.warning("%s cannot be read and is left out: %s", file, error)
        return found

    def save(self, data: NoReturn) -> None:
        """Always an error: each model's report is an entry of its own."""
        raise DatasetUserError(f"{self._filepath} is read only; save a model's report as NAME_metrics")

    def _exists(self) -> bool:
        return any(self._filepath.glob(f"*/{FILE}"))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
