"""Raw MovieLens as a catalog entry: the published files, generated ones, or an interaction log in Parquet."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from kedro.io import AbstractDataset
from pydantic import ValidationError

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.parameters import MovieLensSource, SyntheticMovieLens
from tandem.storage.filesystems import exists
from tandem.storage.locations import local_path, location

if TYPE_CHECKING:
    from pathlib import Path

    from tandem.sources.movielens import RawMovieLens

logger = logging.getLogger(__name__)


class MovieLensDataset(AbstractDataset[NoReturn, "RawMovieLens"]):
    """MovieLens as :class:`tandem.sources.movielens.RawMovieLens`: three Spark tables, checked when they are loaded.

    The kind ``synthetic`` generates files in ml-100k's formats once per size and seed, in a sub-folder of ``filepath``;
    ``parquet`` is an interaction log of your own (:func:`tandem.sources.interaction_tables.read_interaction_tables`).
    What is written, generated files and what a zip holds, lies below ``filepath``; ``path`` is only read.

    Example::

        movielens:
          type: tandem.datasets.MovieLensDataset
          filepath: data/01_raw/movielens
          path: ${parameter:movielens_path}
          kind: ${parameter:movielens}
          synthetic: ${parameter:synthetic_movielens}
          seed: ${parameter:seed}
    """

    def __init__(
        self,
        filepath: str,
        kind: MovieLensSource = "synthetic",
        synthetic: dict[str, int] | None = None,
        seed: int = 0,
        path: str | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read or started.

        Args:
            filepath: the folder of this machine that generated files are kept in, and that the others are looked for
                in where there is no ``path``.
            kind: ``synthetic``, ``ml-100k``, ``ml-1m`` or ``parquet``.
            synthetic: ``users``, ``items`` and ``ratings`` to generate.
            seed: of the generated data.
            path: the folder, which may be an address, or the published zip; not for ``synthetic``.
            metadata: for kedro-viz.

        Raises:
            UserError: an unknown kind, an impossible size, or a path beside ``synthetic``.
        """
        if kind not in get_args(MovieLensSource):
            raise UserError(f"movielens: {kind} is not known; choose one of {', '.join(get_args(MovieLensSource))}")
        if kind == "synthetic" and path is not None:
            raise UserError(f"movielens: nothing is generated in {path}, which is to be read; name its kind")
        self._filepath = local_path(filepath)
        self._path = self._filepath if path is None else location(path)
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
            path = self._generated() if self._kind == "synthetic" else self._path.absolute()
            kind = "ml-100k" if self._kind == "synthetic" else self._kind
            # What is missing is said before seconds go into Spark's start; a zip is extracted among our own files.
            folder = locate_movielens(path, kind, self._filepath.absolute())

            from tandem.datasets.spark_session import spark_session
            from tandem.sources.movielens import read_movielens

            return read_movielens(spark_session(), folder, kind)

    def save(self, data: NoReturn) -> None:
        """Always an error: raw data is read only."""
        raise DatasetUserError(f"{self._path} is raw data and cannot be saved to")

    def _log(self) -> RawMovieLens:
        from tandem.sources.interaction_tables_files import locate_interaction_tables

        folder = self._path.absolute()
        locate_interaction_tables(folder)

        from tandem.datasets.spark_session import spark_session
        from tandem.sources.interaction_tables import read_interaction_tables

        return read_interaction_tables(spark_session(), folder)

    def _generated(self) -> Path:
        folder = self._generated_folder()
        if not folder.is_dir():
            from tandem.sources.synthetic_movielens import write_synthetic_movielens

            write_synthetic_movielens(folder, **self._sizes.model_dump(), seed=self._seed)
        logger.info("movielens=synthetic: the ratings are generated ones, in %s", folder)
        return folder

    def _generated_folder(self) -> Path:
        sizes = self._sizes
        name = f"synthetic-{sizes.users}x{sizes.items}-{sizes.ratings}-seed{self._seed}"
        return self._filepath.absolute() / name

    def _exists(self) -> bool:
        return exists(self._path)

    def _describe(self) -> dict[str, Any]:
        described: dict[str, Any] = {"filepath": str(self._path), "kind": self._kind}
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
