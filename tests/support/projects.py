"""A project folder of its own for a test, and runs in it as a user makes them: nothing is written to the checkout."""

import contextlib
import hashlib
import logging
import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner
from kedro.framework.project import configure_project
from pyspark.sql import SparkSession

ROOT = Path(__file__).parents[2]
# What the ranked lists, the model and the report are in; the folders before hold data that a run makes anew.
PUBLISHED = ("data/06_models/ncf", "data/07_model_output/ncf", "data/08_reporting/ncf")


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line of an error: what stands behind ``Error:``; fails when there is more, or a traceback."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        marked = [line for line in lines if line.startswith("Error: ")]
        assert self.code != 0, self.err
        assert len(marked) == 1, self.err
        assert marked[0] == lines[-1], self.err
        assert "Traceback" not in self.err
        return marked[0].removeprefix("Error: ")


@dataclass(frozen=True)
class Project:
    """A folder with the configuration and nothing else at first."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "Project":
        """Copy what a clone has of configuration."""
        shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
        (folder / "conf" / "local").mkdir()
        (folder / "src").mkdir()
        shutil.copy(ROOT / "pyproject.toml", folder)
        return cls(folder)

    def copy(self, folder: Path) -> "Project":
        """The same, with all data, in another place."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Project(folder)

    def run(self, *arguments: str, env: str = "test", tags: str = "ncf") -> Finished:
        """``tandem run`` in this process, so that all runs share one Spark session."""
        from tandem.cli import cli

        configure_project("tandem")
        session = SparkSession.getActiveSession()
        if session is not None:
            session.catalog.clearCache()  # else a run would be given what an earlier one cached of the same files
        with contextlib.chdir(self.folder), _as_found():
            chosen = {"--env": env, "--tags": tags}
            options = [word for name, value in chosen.items() if name not in arguments for word in (name, value)]
            command = ["run", *options, *arguments]
            result = CliRunner().invoke(cli, command, prog_name="tandem")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception  # a fault of ours: no user should see it
        return Finished(result.exit_code, result.stdout, result.stderr)

    def path(self, name: str) -> Path:
        """A file or folder of the project."""
        return self.folder / name

    def content(self, *names: str) -> dict[str, str]:
        """Digests of all files below these names, by path; hidden ones, such as what is staged, included."""
        files = (file for name in names for file in sorted(self.path(name).rglob("*")) if file.is_file())
        return {str(file.relative_to(self.folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


@contextlib.contextmanager
def _as_found() -> Iterator[None]:
    """Put the process's logging, warnings and environment back: a run sets all three up for itself."""
    root, environment = logging.getLogger(), dict(os.environ)
    handlers, level = root.handlers[:], root.level
    known = [logger for logger in logging.Logger.manager.loggerDict.values() if isinstance(logger, logging.Logger)]
    levels = {logger: (logger.level, logger.handlers[:], logger.propagate) for logger in known}
    with warnings.catch_warnings():
        try:
            yield
        finally:
            root.handlers, root.level = handlers, level
            for logger, (its_level, its_handlers, propagate) in levels.items():
                logger.handlers, logger.propagate = its_handlers, propagate
                logger.setLevel(its_level)
            os.environ.clear()
            os.environ.update(environment)
