"""An error becomes one line here, and only here."""

import contextlib
import re
import signal
import sys
import tarfile
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import click
import kedro
from kedro.config import MissingConfigException
from kedro.io import DatasetError
from kedro.utils import is_kedro_project
from kedro.validation import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tandem.errors import UserError
from tandem.sources.recsys2021_format import with_row
from tandem.storage.signals import Ended
from tandem.storage.writes import CANNOT_WRITE, cannot_write, unfit_place

INTERRUPTED = 130
KEDRO = Path(kedro.__file__).parent


@contextlib.contextmanager
def one_line_errors(conf_source: str | None = None) -> Iterator[None]:
    """Turn what the user can mend into one line and a non-zero exit; everything else keeps its traceback.

    conf_source: where the user says that the configuration is.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        number = interrupt.number if isinstance(interrupt, Ended) else signal.SIGINT
        what = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
        with contextlib.suppress(OSError):  # a terminal that has hung up
            click.echo(f"{what}: earlier outputs are as they were.", err=True)
        sys.exit(128 + number)
    except Exception as error:
        line = user_line(error, conf_source)
        if line is None:
            raise
        raise click.ClickException(line) from None


def user_line(error: BaseException, conf_source: str | None = None) -> str | None:
    """The line for the user, or None where the error is a fault of ours."""
    lines = (_told_by(cause) for cause in _causes(error))
    return next((_one_line(line) for line in lines if line is not None), None) or _kedros_line(error, conf_source)


def _told_by(error: BaseException) -> str | None:
    """What this one error of a chain tells the user."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError) and error.errno in CANNOT_WRITE and error.filename:
        return cannot_write(error.filename, error.errno)
    if isinstance(error, OSError) and unfit_place(error) is not None:
        return unfit_place(error)
    # A Python process of Spark tells only the text of what it raised.
    told = re.search(rf"^{UserError.__module__}\.{UserError.__name__}: (.+)$", str(error), re.MULTILINE)
    return with_row(told[1]) if told is not None else _told_by_spark(error)


def _told_by_spark(error: BaseException) -> str | None:
    if "pyspark" not in sys.modules:
        return None
    from tandem.datasets.spark_errors import spark_line  # where no Spark was, nothing of it is imported

    return spark_line(error)


def _kedros_line(error: BaseException, conf_source: str | None) -> str | None:
    """Kedro's own words for what was asked of it; what it only wraps is a fault of ours."""
    text = _one_line(str(error))
    if isinstance(error, MissingConfigException):
        return f"{text}; {_where_configuration_is(conf_source)}"
    if isinstance(error, YAMLError | OmegaConfBaseException):
        return f"the configuration cannot be read: {text}"
    refused = isinstance(error, DatasetError) and error.__cause__ is None
    unknown = isinstance(error, ValueError) and "pipeline" in text.lower()
    if not refused and _making_the_catalog(error):
        return f"the catalog cannot be made: {_one_line(str(error.args[0] if error.args else error))}"
    return text if refused or unknown or isinstance(error, ParameterValidationError) else None


def _making_the_catalog(error: BaseException) -> bool:
    """Whether Kedro itself met it between the files and the catalog: what is written there is the user's."""
    frames = traceback.extract_tb(error.__traceback__)
    made = any(frame.name == "_get_catalog" for frame in frames)
    return made and Path(frames[-1].filename).is_relative_to(KEDRO)


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)


def _where_configuration_is(conf_source: str | None) -> str:
    source = Path(conf_source or "conf")
    if source.exists() and (conf_source is not None or is_kedro_project(Path.cwd())):
        return f"the environments (--env) in {source} are {', '.join(environments(source)) or 'none'}"
    return "here is no project: pass --conf-source conf-tandem.tar.gz, which comes with the wheel, or a folder"


def environments(source: Path) -> list[str]:
    """The folders of a configuration; in an archive, as it comes with the wheel, they are inside of ``conf``."""
    if source.is_dir():
        return sorted(folder.name for folder in source.iterdir() if folder.is_dir())
    if zipfile.is_zipfile(source):
        names = zipfile.ZipFile(source).namelist()
    else:
        with tarfile.open(source) as archive:
            names = archive.getnames()
    return sorted({parts[1] for parts in (Path(name).parts for name in names) if len(parts) == 3})


def _one_line(text: str) -> str:
    return " ".join(text.split())


def one_line_at_the_end() -> None:
    """Let Python print one line, too, where a command of Kedro's own ends by what the user can mend."""
    original = sys.excepthook

    def told(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        line = user_line(error) if isinstance(error, Exception) else None
        if line is None:
            original(kind, error, trace)
        else:
            click.echo(f"Error: {line}", err=True)

    sys.excepthook = told


class OneLineGroup(click.Group):
    """A group of commands whose wrong usage is told in one line as well, instead of Click's four."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        """Run the command; as Click's own, but for what is printed of wrong usage."""
        try:
            return super().main(*arguments, **(options | {"standalone_mode": False}))
        except click.exceptions.NoArgsIsHelpError as help_wanted:
            help_wanted.show()
            sys.exit(help_wanted.exit_code)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx is not None else "tandem"
            click.echo(f"Error: {_one_line(error.format_message())} See {command} --help", err=True)
            sys.exit(error.exit_code)
        except click.ClickException as error:
            click.echo(f"Error: {_one_line(error.format_message())}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)
