"""Raw rows of the RecSys Challenge 2021 as a catalog entry: the published files, or generated ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from kedro.io import AbstractDataset

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.sources.recsys2021_format import Future
from tandem.sources.recsys2021_manifest import FEWEST_ROWS, Manifest, read_manifest
from tandem.sources.recsys2021_manifest import Kind as Generated
from tandem.storage.filesystems import exists
from tandem.storage.locations import location, on_this_machine

if TYPE_CHECKING:
    from pathlib import Path

    from tandem.sources.recsys2021 import RawRecSys2021

Kind = Literal["planted", "noise", "unique", "files"]


class RecSys2021Dataset(AbstractDataset[NoReturn, "RawRecSys2021"]):
    """The challenge as :class:`tandem.sources.recsys2021.RawRecSys2021`: train and test rows, checked as they are read.

    The kinds other than ``files`` are generated once per size and seed, in a sub-folder of ``filepath``.

    Example::

        recsys2021_raw:
          type: tandem.datasets.RecSys2021Dataset
          filepath: ${runtime_params:recsys2021_path, data/01_raw/recsys2021}
          kind: ${runtime_params:recsys2021, planted}
          rows: ${runtime_params:recsys2021_rows, 100000}
          seed: 42
    """

    def __init__(
        self,
        filepath: str,
        kind: Kind = "planted",
        rows: int = 100_000,
        seed: int = 0,
        future: Future = "error",
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read or started.

        Args:
            filepath: the folder, which may be an address, with ``train/`` and ``test/``; where generated files are
                kept for the other kinds.
            kind: ``planted``, ``noise``, ``unique`` or ``files``.
            rows: to generate, train and test together.
            seed: of the generated data.
            future: what to do with a row of files that has a time that has not come yet: ``error``, ``keep`` or
                ``drop``.
            metadata: for kedro-viz.

        Raises:
            UserError: an unknown kind or an impossible size.
        """
        _check_choice("recsys2021", kind, get_args(Kind))
        _check_choice("recsys2021_future", future, get_args(Future))
        self._filepath = location(filepath)
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
            folder = self._filepath.absolute()
            if self._kind == "files":
                locate_recsys2021(folder)  # what is missing is said before seconds go into Spark's start

            from tandem.datasets.spark_session import spark_session
            from tandem.sources.recsys2021 import read_recsys2021

            if self._kind != "files":
                folder = self._generated(self._kind)
            return read_recsys2021(spark_session(), folder, future=self._future)

    def save(self, data: NoReturn) -> None:
        """Always an error: raw data is read only."""
        raise DatasetUserError(f"{self._filepath} is raw data and cannot be saved to")

    def _generated(self, kind: Generated) -> Path:
        from tandem.datasets.spark_session import spark_session, stopped_by_interrupt
        from tandem.sources.synthetic_recsys2021 import write_synthetic_recsys2021

        folder = self._generated_folder()
        if not self._fits(read_manifest(folder)):
            session = spark_session()
            with stopped_by_interrupt(session):
                write_synthetic_recsys2021(session, folder, rows=self._rows, kind=kind, seed=self._seed)
        return folder

    def _fits(self, made: Manifest | None) -> bool:
        return made is not None and (made.kind, made.rows, made.seed) == (self._kind, self._rows, self._seed)

    def _generated_folder(self) -> Path:
        folder = on_this_machine(self._filepath, "recsys2021_path").absolute()
        return folder / f"{self._kind}-{self._rows}-seed{self._seed}"

    def _exists(self) -> bool:
        return exists(self._filepath)

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {"filepath": str(self._filepath), "kind": self._kind}
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
