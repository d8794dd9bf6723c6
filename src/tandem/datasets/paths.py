"""Datasets that hand a path to a node: a work folder, and a finished folder that is moved into place."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.sources.staging import explaining_writes, move_into_place
from tandem.storage.locations import local_path


class PathDataset(AbstractDataset[NoReturn, Path]):
    """A path that a node works in, such as the checkpoints of a training.

    ``load`` returns the absolute path, which can be written to; the path itself need not exist.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = local_path(filepath)
        self.metadata = metadata

    def load(self) -> Path:
        """The absolute path, with its parent folder made.

        Raises:
            DatasetUserError: nothing can be written there; said now, and not when hours of work are to be saved.
        """
        path = self._filepath.absolute()
        with user_errors(), explaining_writes(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=path if os.path.lexists(path) else path.parent):
                return path

    def save(self, data: NoReturn) -> None:
        """Always an error: nodes write to the path themselves."""
        raise DatasetUserError(f"{self._filepath} is a path to work in and cannot be saved to; take it as an input")

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}


class StagedFolderDataset(AbstractDataset[Path, Path]):
    """A folder of files made elsewhere, such as a trained model: saved by moving a finished folder into place.

    ``save`` takes the path of the finished (staging) folder, which is then gone from there; what stood in place is
    replaced as a whole or, on error, left as it was. ``load`` returns the absolute path.
    """

    def __init__(
        self,
        filepath: str,
        made_by: str | None = None,
        files: Sequence[str] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Args: filepath: the folder; made_by: what to run when it, or one of files, is missing; metadata: for viz."""
        self._filepath = local_path(filepath)
        self._made_by = made_by
        self._files = tuple(files)
        self.metadata = metadata

    def load(self) -> Path:
        """The absolute path of the folder.

        Raises:
            DatasetUserError: it, or a file that belongs in it, does not exist.
        """
        path = self._filepath.absolute()
        for needed in (path, *(path / name for name in self._files)):
            if not needed.exists():
                raise DatasetUserError(
                    f"{needed} does not exist; make it first: {self._made_by or 'run the whole pipeline'}"
                )
        return path

    def save(self, data: Path) -> None:
        """Move the folder ``data`` into place.

        Raises:
            DatasetUserError: the place cannot be written, or a file that belongs in the folder is missing.
        """
        staging = Path(data).absolute()
        if not staging.is_dir():
            raise NotADirectoryError(f"the staging folder {staging} for {self._filepath} does not exist")
        missing = [name for name in self._files if not (staging / name).exists()]
        if missing:
            raise DatasetUserError(
                f"{self._filepath} stays as it was: what is to take its place, {staging}, lacks {', '.join(missing)}; "
                "let whatever makes it write that too"
            )
        with user_errors():
            move_into_place(staging, self._filepath.absolute())

    def _exists(self) -> bool:
        return self._filepath.is_dir()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
