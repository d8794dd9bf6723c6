import functools
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem.errors import UserError
from tandem.sources import movielens_files
from tandem.sources.movielens_files import download_movielens, locate_movielens

NAMES = ("u.data", "u.user", "u.item")


def _publish(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_text(f"content of {name}\n")
    return folder


def _zip(path: Path, prefix: str = "ml-100k/", names: tuple[str, ...] = NAMES) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(prefix + name, f"content of {name}\n" * 50)
    return path


def test_files_are_found_in_the_folder_and_in_its_sub_folder(tmp_path: Path) -> None:
    folder = _publish(tmp_path / "ml-100k")
    assert locate_movielens(folder, "ml-100k") == folder
    assert locate_movielens(tmp_path, "ml-100k") == folder


@pytest.mark.parametrize("prefix", ["ml-100k/", "", "renamed/"])
def test_a_zip_is_extracted_once(tmp_path: Path, prefix: str) -> None:
    archive = _zip(tmp_path / "ml-100k.zip", prefix)
    folder = locate_movielens(archive, "ml-100k")
    assert (folder / "u.item").read_text() == "content of u.item\n" * 50
    before = folder.stat().st_ino
    assert locate_movielens(tmp_path, "ml-100k") == folder
    assert folder.stat().st_ino == before


def test_a_zip_is_extracted_below_the_given_work_folder(tmp_path: Path) -> None:
    folder = locate_movielens(_zip(tmp_path / "ml-100k.zip"), "ml-100k", tmp_path / "work")
    assert folder.parent == tmp_path / "work"


def test_names_in_a_zip_cannot_leave_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    archive = _zip(inside / "ml-100k.zip", "../")
    folder = locate_movielens(archive, "ml-100k")
    assert sorted(file.name for file in folder.iterdir()) == sorted(NAMES)
    assert [entry.name for entry in tmp_path.iterdir()] == ["inside"]


def test_a_damaged_zip_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "ml-100k.zip")
    whole = archive.read_bytes()
    archive.write_bytes(whole[:40] + bytes(byte ^ 255 for byte in whole[40:60]) + whole[60:])
    with pytest.raises(UserError, match=r"ml-100k.zip is not an intact zip"):
        locate_movielens(archive, "ml-100k")
    archive.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"ml-100k.zip is not an intact zip"):
        locate_movielens(archive, "ml-100k")
    assert [entry.name for entry in tmp_path.iterdir()] == ["ml-100k.zip"]


def test_a_zip_of_something_else_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds no ratings.dat, users.dat, movies.dat: it is not ml-1m.zip"):
        locate_movielens(_zip(tmp_path / "ml-100k.zip"), "ml-1m")


def test_a_checksum_beside_a_zip_is_held(tmp_path: Path) -> None:
    archive = _zip(tmp_path / "ml-100k.zip")
    right = hashlib.md5(archive.read_bytes()).hexdigest()  # noqa: S324
    (tmp_path / "ml-100k.zip.md5").write_text(f"MD5 (ml-100k.zip) = {right}\n")
    locate_movielens(archive, "ml-100k")
    (tmp_path / "ml-100k.zip.md5").write_text(f"{'0' * 32}  ml-100k.zip\n")
    with pytest.raises(UserError, match=rf"ml-100k.zip has the wrong checksum: expected md5 {'0' * 32}, found {right}"):
        locate_movielens(archive, "ml-100k")


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere does not exist; expected a folder with u.data, u.user, u.item"):
        locate_movielens(tmp_path / "nowhere", "ml-100k")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"no ml-1m in .*empty: looked for ratings.dat, .* and in .*empty/ml-1m"):
        locate_movielens(tmp_path / "empty", "ml-1m")
    with pytest.raises(UserError, match=r"u.item is missing; ml-100k needs it"):
        locate_movielens(_publish(tmp_path / "part", ("u.data", "u.user")), "ml-100k")
    with pytest.raises(UserError, match=r"holds ml-100k, not ml-1m; run with movielens=ml-100k"):
        locate_movielens(_publish(tmp_path / "other"), "ml-1m")


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    folder = _publish(tmp_path / "ml-100k")
    (folder / "u.user").write_text("")
    with pytest.raises(UserError, match=r"u.user is empty"):
        locate_movielens(folder, "ml-100k")


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_args: object) -> None:
        """Say nothing."""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """A web server on loopback with ``ml-100k.zip``."""
    (tmp_path / "site").mkdir()
    _zip(tmp_path / "site" / "ml-100k.zip")
    handler = functools.partial(_Quiet, directory=str(tmp_path / "site"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_a_download_with_the_published_checksum_is_kept(
    site: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = (tmp_path / "site" / "ml-100k.zip").read_bytes()
    monkeypatch.setitem(movielens_files._ZIP_MD5, "ml-100k", hashlib.md5(served).hexdigest())  # noqa: S324
    archive = download_movielens("ml-100k", tmp_path / "out", url=f"{site}/ml-100k.zip")
    assert archive == tmp_path / "out" / "ml-100k.zip"
    assert archive.read_bytes() == served
    # It is not fetched again.
    assert download_movielens("ml-100k", tmp_path / "out", url=f"{site}/gone.zip") == archive


def test_a_download_with_another_checksum_is_not_kept(site: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"ml-100k.zip has the wrong checksum: expected md5 0e33842e.*, found "):
        download_movielens("ml-100k", tmp_path / "out", url=f"{site}/ml-100k.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_failing_download_is_named(site: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot download .*gone.zip: File not found; fetch it by hand"):
        download_movielens("ml-100k", tmp_path / "out", url=f"{site}/gone.zip")
    with pytest.raises(UserError, match=r"must begin with https"):
        download_movielens("ml-100k", tmp_path / "out", url="ftp://127.0.0.1/ml-100k.zip")
    assert list((tmp_path / "out").iterdir()) == []
