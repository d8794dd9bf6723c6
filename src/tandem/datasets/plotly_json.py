"""Plotly figures as JSON, either the old one or the whole new one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import PlotlyPreview

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.sources.staging import staged_file
from tandem.storage.locations import local_path

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


class PlotlyJSONDataset(AbstractDataset["Figure", "Figure"]):
    """A figure in Plotly's JSON, which kedro-viz draws. Plotly itself is imported when a figure is loaded."""

    def __init__(self, filepath: str, made_by: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Args: filepath: the file; made_by: what to run when it is missing; metadata: for kedro-viz."""
        self._filepath = local_path(filepath)
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> Figure:
        """The figure.

        Raises:
            DatasetUserError: the file does not exist.
        """
        import plotly.io

        if not self._filepath.is_file():
            hint = self._made_by or "run the whole pipeline"
            raise DatasetUserError(f"{self._filepath} does not exist; make it first: {hint}")
        return plotly.io.from_json(self._filepath.read_text(encoding="utf-8"))

    def save(self, data: Figure) -> None:
        """Write the figure beside the file and put it in its place.

        Raises:
            DatasetUserError: the place cannot be written.
        """
        with user_errors(), staged_file(self._filepath.absolute()) as staging:
            staging.write_text(data.to_json() + "\n", encoding="utf-8")

    def preview(self) -> PlotlyPreview:
        """The figure as kedro-viz draws it; an empty one where no run has made it yet."""
        return PlotlyPreview(json.loads(self._filepath.read_text(encoding="utf-8")) if self._exists() else {})

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
