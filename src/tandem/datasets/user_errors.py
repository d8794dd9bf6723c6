"""Errors for users that pass through Kedro unchanged."""

from collections.abc import Iterator
from contextlib import contextmanager

from kedro.io import DatasetError

from tandem.errors import UserError


class DatasetUserError(DatasetError, UserError):
    """A :class:`UserError` of a dataset.

    Kedro wraps whatever a dataset's load or save raises into a longer text, except its own ``DatasetError``.
    """


@contextmanager
def user_errors() -> Iterator[None]:
    """Turn a UserError inside into one that Kedro does not wrap."""
    try:
        yield
    except DatasetUserError:
        raise
    except UserError as error:
        raise DatasetUserError(str(error)) from error
