"""JSON that is either the old file or the whole new one."""

import json
from typing import Any

from kedro.io import AbstractDataset
from kedro_datasets._typing import JSONPreview

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.sources.staging import staged_file
from tandem.storage.locations import local_path


class AtomicJSONDataset(AbstractDataset[Any, Any]):
    """A JSON file in UTF-8: two spaces of indent, the keys in their given order, a newline at the end.

    Floats are written with all their digits. NaN and infinity are refused, as JSON has no word for them: a metric that
    is undefined is ``None``, and whoever computes it says so.
    """

    def __init__(self, filepath: str, made_by: str | None = None, metadata: dict[str, Any] | None = None) -> None:
        """Args: filepath: the file; made_by: what to run when it is missing; metadata: for kedro-viz."""
        self._filepath = local_path(filepath)
        self._made_by = made_by
        self.metadata = metadata

    def load(self) -> Any:
        """The content of the file.

        Raises:
            DatasetUserError: it does not exist or is not JSON.
        """
        try:
            return json.loads(self._filepath.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            hint = self._made_by or "run the whole pipeline"
            raise DatasetUserError(f"{self._filepath} does not exist; make it first: {hint}") from error
        except json.JSONDecodeError as error:
            raise DatasetUserError(
                f"{self._filepath} is not JSON (row {error.lineno}, column {error.colno}: {error.msg}); make it again"
            ) from error

    def save(self, data: Any) -> None:
        """Write ``data`` beside the file and put it in its place.

        Raises:
            DatasetUserError: the place cannot be written.
            DatasetError: ``data`` holds NaN, infinity or something that JSON has no form for.
        """
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        with user_errors(), staged_file(self._filepath.absolute()) as staging:
            staging.write_text(text, encoding="utf-8")

    def preview(self) -> JSONPreview:
        """The content as kedro-viz shows it; an empty document where no run has made it yet."""
        return JSONPreview(self._filepath.read_text(encoding="utf-8") if self._exists() else "{}")

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
