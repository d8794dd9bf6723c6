"""Raw MovieLens as a catalog entry: the published files, generated ones, or an interaction log in Parquet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from kedro.io import AbstractDataset
from pydantic import ValidationError

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.parameters import SyntheticMovieLens
from tandem.storage.filesystems import exists
from tandem.storage.locations import location, on_this_machine

if TYPE_CHECKING:
    from pathlib import Path

    from tandem.sources.movielens import RawMovieLens

Kind = Literal["synthetic", "ml-100k", "ml-1m", "parquet"]


class MovieLensDataset(AbstractDataset[NoReturn, "RawMovieLens"]):
    """MovieLens as :class:`tandem.sources.movielens.RawMovieLens`: three Spark tables, checked when they are loaded.

    The kind ``synthetic`` generates files in ml-100k's formats once per size and seed, in a sub-folder of ``filepath``;
    ``parquet`` is an interaction log of your own (:func:`tandem.sources.interaction_tables.read_interaction_tables`).

    Example::

        movielens:
          type: tandem.datasets.MovieLensDataset
          filepath: ${runtime_params:movielens_path, data/01_raw/movielens}
          kind: ${runtime_params:movielens, synthetic}
          synthetic: {users: 1000, items: 1700, ratings: 100000}
          seed: 42
    """

    def __init__(
        self,
        filepath: str,
        kind: Kind = "synthetic",
        synthetic: dict[str, int] | None = None,
        seed: int = 0,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read or started.

        Args:
            filepath: the folder, which may be an address, or the published zip; where generated files are kept for
                ``synthetic``.
            kind: ``synthetic``, ``ml-100k``, ``ml-1m`` or ``parquet``.
            synthetic: ``users``, ``items`` and ``ratings`` to generate.
            seed: of the generated data.
            metadata: for kedro-viz.

        Raises:
            UserError: an unknown kind or an impossible size.
        """
        if kind not in get_args(Kind):
            raise UserError(f"movielens: {kind} is not known; choose one of {', '.join(get_args(Kind))}")
        self._filepath = location(filepath)
        self._kind = kind
        self._sizes = _sizes(synthetic or {})
        self._seed = int(seed)
        self.metadata = metadata

    def load(self) -> RawMovieLens:
        """The three tables.

        Raises:
            DatasetUserError: a file is missing, empty, truncated or malformed, or cannot be generated.
        """
        from tandem.sources.movielens_files import locate_movielens

        with user_errors():
            if self._kind == "parquet":
                return self._log()
            path = self._generated() if self._kind == "synthetic" else self._filepath.absolute()
            kind = "ml-100k" if self._kind == "synthetic" else self._kind
            folder = locate_movielens(path, kind)  # what is missing is said before seconds go into Spark's start

            from tandem.datasets.spark_session import spark_session
            from tandem.sources.movielens import read_movielens

            return read_movielens(spark_session(), folder, kind)

    def save(self, data: NoReturn) -> None:
        """Always an error: raw data is read only."""
        raise DatasetUserError(f"{self._filepath} is raw data and cannot be saved to")

    def _log(self) -> RawMovieLens:
        from tandem.sources.interaction_tables_files import locate_interaction_tables

        folder = self._filepath.absolute()
        locate_interaction_tables(folder)

        from tandem.datasets.spark_session import spark_session
        from tandem.sources.interaction_tables import read_interaction_tables

        return read_interaction_tables(spark_session(), folder)

    def _generated(self) -> Path:
        folder = self._generated_folder()
        if not folder.is_dir():
            from tandem.sources.synthetic_movielens import write_synthetic_movielens

            write_synthetic_movielens(folder, **self._sizes.model_dump(), seed=self._seed)
        return folder

    def _generated_folder(self) -> Path:
        sizes = self._sizes
        name = f"synthetic-{sizes.users}x{sizes.items}-{sizes.ratings}-seed{self._seed}"
        return on_this_machine(self._filepath, "movielens_path").absolute() / name

    def _exists(self) -> bool:
        return exists(self._filepath)

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {"filepath": str(self._filepath), "kind": self._kind}
        if self._kind == "synthetic":
            described |= {**self._sizes.model_dump(), "seed": self._seed}
        return described


def _sizes(given: dict[str, int]) -> SyntheticMovieLens:
    try:
        return SyntheticMovieLens(**given)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("movielens", "synthetic", *first["loc"]))
        raise UserError(f"{place}: {first['msg']}, found {first['input']!r}") from error
