"""A raw log as a catalog entry: MovieLens, as published or generated, or tables of one's own."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal, NoReturn, get_args

from kedro.io import AbstractDataset
from pydantic import ValidationError

from tandem.datasets.user_errors import DatasetUserError, user_errors
from tandem.errors import UserError
from tandem.parameters import MovieLensSource, SyntheticMovieLens
from tandem.storage.filesystems import exists
from tandem.storage.locations import local_path, location

if TYPE_CHECKING:
    from pathlib import Path

    from tandem.sources.schema import InteractionTables

logger = logging.getLogger(__name__)


DataSource = Literal["movielens", "tables"]


class InteractionTablesDataset(AbstractDataset[NoReturn, "InteractionTables"]):
    """A log as :class:`tandem.sources.schema.InteractionTables`: three Spark tables, checked when they are loaded.

    ``data: movielens`` is MovieLens. Its kind ``synthetic`` generates files in ml-100k's formats once per size and
    seed, in a sub-folder of ``filepath``. What is written, generated files and what a zip holds, lies below
    ``filepath``; ``path`` is only read. ``data: tables`` are tables of one's own, as ``tables`` describes them.

    Example::

        interactions_raw:
          type: tandem.datasets.InteractionTablesDataset
          data: ${parameter:data}
          tables: ${parameter:tables}
          filepath: data/01_raw/movielens
          path: ${parameter:movielens_path}
          kind: ${parameter:movielens}
          synthetic: ${parameter:synthetic_movielens}
          seed: ${parameter:seed}
          min_zip_code_users: ${parameter:ncf.min_zip_code_users}
    """

    def __init__(
        self,
        filepath: str,
        data: DataSource = "movielens",
        tables: dict[str, Any] | None = None,
        kind: MovieLensSource = "synthetic",
        synthetic: dict[str, int] | None = None,
        seed: int = 0,
        path: str | None = None,
        min_zip_code_users: int = 1,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read or started.

        Args:
            filepath: the folder of this machine that generated files are kept in, and that MovieLens' are looked for
                in where there is no ``path``.
            data: ``movielens`` or ``tables``.
            tables: what :class:`tandem.parameters.tables.TablesParameters` takes, for ``data: tables``.
            kind: of MovieLens: ``synthetic``, ``ml-100k`` or ``ml-1m``.
            synthetic: ``users``, ``items`` and ``ratings`` to generate.
            seed: of the generated data.
            path: the folder, which may be an address, or the published zip; not for ``synthetic``.
            min_zip_code_users: of MovieLens: zip codes of fewer users are to be unknown.
            metadata: for kedro-viz.

        Raises:
            UserError: unknown data or an unknown kind, an impossible size, a path beside ``synthetic``, or nothing
                about the tables where they are to be read.
        """
        if data not in get_args(DataSource):
            raise UserError(f"data: {data} is not known; choose one of {', '.join(get_args(DataSource))}")
        if data == "tables" and tables is None:
            raise UserError(
                "data: tables needs the block tables, which says what stands where; let it be written: "
                "tandem describe FILE... --out conf/local/tables.yml"
            )
        if kind not in get_args(MovieLensSource):
            raise UserError(f"movielens: {kind} is not known; choose one of {', '.join(get_args(MovieLensSource))}")
        if kind == "synthetic" and path is not None:
            raise UserError(f"movielens: nothing is generated in {path}, which is to be read; name its kind")
        self._filepath = local_path(filepath)
        self._path = self._filepath if path is None else location(path)
        self._data = data
        self._tables = tables
        self._kind = kind
        self._min_zip_code_users = int(min_zip_code_users)
        self._sizes = _sizes(synthetic or {})
        self._seed = int(seed)
        self.metadata = metadata

    def load(self) -> InteractionTables:
        """The three tables, and what they have.

        Raises:
            DatasetUserError: a file is missing, empty, truncated or malformed, or cannot be generated.
        """
        with user_errors():
            return self._own_tables() if self._data == "tables" else self._movielens()

    def save(self, data: NoReturn) -> None:
        """Always an error: raw data is read only."""
        raise DatasetUserError(f"{self._path} is raw data and cannot be saved to")

    def _movielens(self) -> InteractionTables:
        from tandem.sources.movielens_files import locate_movielens

        path = self._generated() if self._kind == "synthetic" else self._path.absolute()
        kind = "ml-100k" if self._kind == "synthetic" else self._kind
        # What is missing is said before seconds go into Spark's start; a zip is extracted among our own files.
        folder = locate_movielens(path, kind, self._filepath.absolute())

        from tandem.datasets.spark_session import spark_session
        from tandem.sources.movielens import read_movielens

        return read_movielens(spark_session(), folder, kind, min_zip_code_users=self._min_zip_code_users)

    def _own_tables(self) -> InteractionTables:
        from tandem.parameters.tables import TablesParameters
        from tandem.sources.tables import locate_tables, read_tables

        parameters = TablesParameters.model_validate(self._tables)
        locate_tables(parameters)  # what is missing is said before seconds go into Spark's start

        from tandem.datasets.spark_session import spark_session

        return read_tables(spark_session(), parameters)

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
        return exists(location((self._tables or {})["path"]) if self._data == "tables" else self._path)

    def _describe(self) -> dict[str, Any]:
        if self._data == "tables":
            return {"filepath": str((self._tables or {}).get("path")), "data": self._data}
        described: dict[str, Any] = {"filepath": str(self._path), "data": self._data, "kind": self._kind}
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
