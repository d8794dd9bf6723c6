"""Raw rows of the RecSys Challenge 2021 as a catalog entry: the published files, or generated ones."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.parameters import Future, RecSys2021Source
from tandem.parameters.data import FEWEST_ROWS
from tandem.sources.recsys2021_manifest import Kind as Generated
from tandem.sources.recsys2021_manifest import Manifest, read_manifest
from tandem.storage.filesystems import exists
from tandem.storage.locations import local_path, location

if TYPE_CHECKING:
    from pathlib import Path

    from tandem.sources.recsys2021 import RawRecSys2021

logger = logging.getLogger(__name__)


class RecSys2021Dataset(AbstractDataset[NoReturn, "RawRecSys2021"]):
    """The challenge as :class:`tandem.sources.recsys2021.RawRecSys2021`: train and test rows, checked as they are read.

    The kinds other than ``files`` are generated once per size and seed, in a sub-folder of ``filepath``; ``path`` is
    only read.

    Example::

        recsys2021_raw:
          type: tandem.datasets.RecSys2021Dataset
          filepath: data/01_raw/recsys2021
          path: ${parameter:recsys2021_path}
          kind: ${parameter:recsys2021}
          rows: ${parameter:recsys2021_rows}
          seed: ${parameter:seed}
    """

    def __init__(
        self,
        filepath: str,
        kind: RecSys2021Source = "planted",
        rows: int = 100_000,
        seed: int = 0,
        future: Future = "error",
        path: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read or started.

        Args:
            filepath: the folder of this machine that generated files are kept in, and that ``files`` are read from
                where there is no ``path``.
            kind: ``planted``, ``noise``, ``unique`` or ``files``.
            rows: to generate, train and test together.
            seed: of the generated data.
            future: what to do with a row of files that has a time that has not come yet: ``error``, ``keep`` or
                ``drop``.
            path: the folder, which may be an address, with ``train/`` and ``test/``; for ``files`` alone.
            metadata: for kedro-viz.

        Raises:
            UserError: an unknown kind, an impossible size, or a path beside a kind that is generated.
        """
        _check_choice("recsys2021", kind, get_args(RecSys2021Source))
        _check_choice("recsys2021_future", future, get_args(Future))
        if kind != "files" and path is not None:
            raise UserError(f"recsys2021: nothing is generated in {path}, which is to be read; set recsys2021=files")
        self._filepath = local_path(filepath)
        self._path = self._filepath if path is None else location(path)
        self._kind = kind
        self._rows = _whole("recsys2021_rows", rows, FEWEST_ROWS)
        self._seed = _whole("seed", seed)
        self._future = future
        self.metadata = metadata

    def load(self) -> RawRecSys2021:
        """Train and test rows, and the best reachable AUC where the files say it.

        Raises:
            DatasetUserError: a folder is missing or has no rows, a file has other columns, or rows cannot be generated.
        """
        from tandem.sources.recsys2021_files import locate_recsys2021

        with user_errors():
            folder = self._path.absolute()
            if self._kind == "files":
                locate_recsys2021(folder)  # what is missing is said before seconds go into Spark's start

            from tandem.datasets.spark_session import spark_session
            from tandem.sources.recsys2021 import read_recsys2021

            if self._kind != "files":
                folder = self._generated(self._kind)
            return read_recsys2021(spark_session(), folder, future=self._future)

    def save(self, data: NoReturn) -> None:
        """Always an error: raw data is read only."""
        raise DatasetUserError(f"{self._path} is raw data and cannot be saved to")

    def _generated(self, kind: Generated) -> Path:
        from tandem.datasets.spark_session import spark_session, stopped_by_interrupt
        from tandem.sources.synthetic_recsys2021 import write_synthetic_recsys2021

        folder = self._generated_folder()
        if not self._fits(read_manifest(folder)):
            session = spark_session()
            with stopped_by_interrupt(session):
                write_synthetic_recsys2021(session, folder, rows=self._rows, kind=kind, seed=self._seed)
        logger.info("recsys2021=%s: the rows are generated ones, in %s", kind, folder)
        return folder

    def _fits(self, made: Manifest | None) -> bool:
        return made is not None and (made.kind, made.rows, made.seed) == (self._kind, self._rows, self._seed)

    def _generated_folder(self) -> Path:
        return self._filepath.absolute() / f"{self._kind}-{self._rows}-seed{self._seed}"

    def _exists(self) -> bool:
        return exists(self._path)

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {"filepath": str(self._path), "kind": self._kind}
        return described if self._kind == "files" else described | {"rows": self._rows, "seed": self._seed}


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{name}: {value} is not known; choose one of {', '.join(choices)}")


def _whole(name: str, value: object, least: int | None = None) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise UserError(f"{name}: expected a whole number, found {value!r}")
    if least is not None and value < least:
        raise UserError(f"{name}: expected at least {least}, found {value}")
    return value
