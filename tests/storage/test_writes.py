import errno
from pathlib import Path

import pytest
from safetensors import SafetensorError

from tandem.cli.one_line import user_line
from tandem.errors import UserError
from tandem.storage.writes import explaining_writes, unfit_place


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "No space left on device; make room there"),
        (errno.EDQUOT, "Disk quota exceeded; make room there"),
        (errno.EROFS, "Read-only file system; make the place writable"),
        (errno.EMFILE, "Too many open files; raise the limit of open files"),
        (errno.EIO, "Input/output error; the device fails"),
    ],
)
def test_a_place_that_is_full_or_fails_is_one_line(number: int, advice: str) -> None:
    # Arrow names no file, and has words of its own for the error.
    nameless = OSError(number, f"Error writing bytes to file. Detail: [errno {number}]")
    with pytest.raises(UserError, match=f"^cannot write /data/table: {advice}"), explaining_writes(Path("/data/table")):
        raise nameless
    assert str(user_line(nameless)).startswith(f"a file cannot be written: {advice}")
    assert str(user_line(OSError(number, "x", "/data/file"))).startswith(f"cannot write /data/file: {advice}")
    assert unfit_place(nameless) == user_line(nameless)


def test_words_of_other_libraries_are_known_too() -> None:
    assert "No space left on device; make room" in str(unfit_place(SafetensorError("I/O error: x (os error 28)")))
    assert "Disk quota exceeded" in str(unfit_place(RuntimeError("/a/model: Disk quota exceeded")))


def test_faults_of_ours_have_no_line() -> None:
    assert unfit_place(RuntimeError("shapes differ")) is None
    assert unfit_place(FileNotFoundError(errno.ENOENT, "x", "/data/file")) is None
    assert user_line(FileNotFoundError(errno.ENOENT, "x", "/data/file")) is None
