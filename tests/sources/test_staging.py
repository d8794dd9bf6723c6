import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tandem.errors import UserError
from tandem.sources import staging
from tandem.sources.staging import move_into_place, staged_file, staged_folder, swap_into_place


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A folder on another device."""
    memory = Path("/dev/shm")  # noqa: S108
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no shared memory that is another device")
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        yield Path(folder)


def _folder(path: Path, content: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return path


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def _write_half(file: Path, error: type[BaseException]) -> None:
    file.write_text("half")
    raise error


def test_a_staged_folder_replaces_the_old_one_as_a_whole(tmp_path: Path) -> None:
    target = _folder(tmp_path / "target", "old")
    (target / "left over").write_text("old")
    with staged_folder(target) as folder:
        (folder / "file").write_text("new")
        assert (target / "file").read_text() == "old"
    assert _names(target) == ["file"]
    assert (target / "file").read_text() == "new"
    assert _names(tmp_path) == ["target"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_failed_write_leaves_the_old_folder_and_no_temporary(tmp_path: Path, error: type[BaseException]) -> None:
    target = _folder(tmp_path / "target", "old")
    with pytest.raises(error), staged_folder(target) as folder:
        _write_half(folder / "half", error)
    assert _names(tmp_path) == ["target"]
    assert (target / "file").read_text() == "old"


def test_a_failed_swap_puts_the_old_folder_back(tmp_path: Path) -> None:
    target = _folder(tmp_path / "target", "old")
    with pytest.raises(FileNotFoundError):
        swap_into_place(tmp_path / "missing", target)
    assert _names(tmp_path) == ["target"]
    assert (target / "file").read_text() == "old"


def test_ctrl_c_between_the_renames_waits_for_the_swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, new = _folder(tmp_path / "target", "old"), _folder(tmp_path / "new", "new")
    rename = Path.rename

    def interrupted_rename(self: Path, other: Path) -> Path:
        renamed = rename(self, other)
        os.kill(os.getpid(), signal.SIGINT)
        return renamed

    monkeypatch.setattr(staging.Path, "rename", interrupted_rename)
    with pytest.raises(KeyboardInterrupt):
        swap_into_place(new, target)
    assert _names(tmp_path) == ["target"]
    assert (target / "file").read_text() == "new"


def test_a_staged_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deeper" / "file.txt"
    with staged_file(target) as file:
        file.write_text("one")
    with pytest.raises(KeyboardInterrupt), staged_file(target) as file:
        _write_half(file, KeyboardInterrupt)
    assert target.read_text() == "one"
    assert _names(target.parent) == ["file.txt"]


def test_a_folder_is_moved_within_a_file_system_and_across(tmp_path: Path, elsewhere: Path) -> None:
    target = tmp_path / "deeper" / "target"
    move_into_place(_folder(tmp_path / "first", "first"), target)
    assert (target / "file").read_text() == "first"

    second = _folder(elsewhere / "second", "second")
    (second / "inner").mkdir()
    move_into_place(second, target)
    assert _names(target) == ["file", "inner"]
    assert (target / "file").read_text() == "second"
    assert _names(elsewhere) == []
    assert _names(tmp_path) == ["deeper"]
    assert _names(target.parent) == ["target"]


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    target = tmp_path / "file" / "target"
    with pytest.raises(UserError, match=r"cannot write .*file/target.*choose another"), staged_folder(target):
        pass
    with pytest.raises(UserError, match=r"cannot write .*file/target"), staged_file(target):
        pass
    with pytest.raises(UserError, match=r"cannot write .*file/target"):
        move_into_place(_folder(tmp_path / "new", "new"), target)
    assert (tmp_path / "new" / "file").read_text() == "new"


def test_a_file_system_that_makes_no_folders_is_named() -> None:
    with (
        pytest.raises(
            UserError, match="cannot write /proc/none/new: no folder can be made in /proc/none; choose another"
        ),
        staged_folder(Path("/proc/none/new")),
    ):
        pass


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot write .*target: No space left"), staged_file(tmp_path / "target"):
        raise OSError(28, "No space left on device")


def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path: Path, elsewhere: Path) -> None:
    big, above = _folder(elsewhere / "big", "old"), tmp_path / "above"
    link = tmp_path / "target"
    link.symlink_to(big)
    above.symlink_to(elsewhere)
    with staged_folder(link) as folder:
        (folder / "file").write_text("staged")
    assert (link.is_symlink(), (big / "file").read_text()) == (True, "staged")
    move_into_place(_folder(tmp_path / "new", "moved"), link)
    assert (link.is_symlink(), (big / "file").read_text()) == (True, "moved")
    with staged_folder(above / "big") as folder:
        (folder / "file").write_text("above")
    assert (above.is_symlink(), (big / "file").read_text()) == (True, "above")

    note, leading = elsewhere / "note", tmp_path / "note"
    note.write_text("old")
    leading.symlink_to(note)
    with staged_file(leading) as file:
        file.write_text("new")
    assert (leading.is_symlink(), note.read_text()) == (True, "new")
    assert _names(elsewhere) == ["big", "note"]
    assert _names(tmp_path) == ["above", "note", "target"]


def test_a_link_that_leads_nowhere_or_to_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a file").write_text("mine")
    links = {name: tmp_path / name for name in ("dangling", "filed", "round")}
    links["dangling"].symlink_to(tmp_path / "nothing")
    links["filed"].symlink_to(tmp_path / "a file")
    links["round"].symlink_to(links["round"])
    lines = {"dangling": "dangling is a link to .*nothing, which", "round": "round is a link to .*round, which"}
    for name, line in lines.items():
        for write in (staged_folder, staged_file):
            with pytest.raises(UserError, match=line), write(links[name] / "below"):
                pass
            with pytest.raises(UserError, match=line), write(links[name]):
                pass
    with (
        pytest.raises(UserError, match=r"filed: .*/a file is a file where a folder belongs"),
        staged_folder(links["filed"]),
    ):
        pass
    with pytest.raises(UserError, match="a file is a file where a folder belongs"):
        move_into_place(_folder(tmp_path / "new", "new"), tmp_path / "a file")
    assert (tmp_path / "a file").read_text() == "mine"
    assert (tmp_path / "new" / "file").read_text() == "new"
    assert not (tmp_path / "nothing").exists()


MOUNTING = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None, reason="to mount takes root and unshare"
)
OVERLAID = """\
import logging, shutil, sys
from pathlib import Path
from tandem.sources.staging import move_into_place, staged_file, staged_folder

logging.basicConfig(format="%(message)s")
data = Path(sys.argv[1]).absolute()
for content in ("first", "second"):
    with staged_folder(data / "table") as folder:
        (folder / "file").write_text(content)
    (data / "made").mkdir()
    (data / "made" / "file").write_text(content)
    move_into_place(data / "made", data / "model")
    with staged_file(data / "note") as file:
        file.write_text(content)
rmtree = shutil.rmtree
def refused(path):
    shutil.rmtree = rmtree
    (path / "file").unlink()
    raise PermissionError(13, "Permission denied", str(path))
try:
    with staged_folder(data / "other") as folder:
        (folder / "file").write_text("new")
        shutil.rmtree = refused
except Exception as error:
    print(error)
for file in sorted(data.rglob("*")):
    if file.is_file():
        print(file.relative_to(data), file.read_text())
"""


@MOUNTING
def test_what_is_in_a_lower_layer_of_an_overlay_is_replaced(tmp_path: Path) -> None:
    for name in ("table", "model", "other"):
        _folder(tmp_path / "lower" / name / "inner", "old")
        (tmp_path / "lower" / name / "file").write_text("old")
    (tmp_path / "lower" / "note").write_text("old")
    (tmp_path / "program.py").write_text(OVERLAID)
    mounts = (
        "mkdir layers data && mount -t tmpfs tmpfs layers && mkdir layers/upper layers/work && mount -t overlay -o "
        "lowerdir=lower,upperdir=layers/upper,workdir=layers/work overlay data"
    )
    ended = _in_mounts(mounts, tmp_path, sys.executable, "program.py", "data")
    assert ended.stdout.splitlines() == [
        f"cannot write {tmp_path}/data/other: Permission denied; make the place writable or choose another one",
        *("model/file second", "note second", "other/file old", "other/inner/file old", "table/file second"),
    ], ended.stderr
    (warning,) = ended.stderr.splitlines()
    assert warning.endswith(
        "data/table cannot be renamed and is copied instead, as it is part of a container's image; "
        "keep data/ on a volume"
    )


@MOUNTING
def test_a_folder_is_moved_between_mounts_of_one_device_and_a_mount_is_named(tmp_path: Path) -> None:
    _folder(tmp_path / "made", "new")
    _folder(tmp_path / "volume" / "target", "old")
    (tmp_path / "data").mkdir()
    program = (
        "import sys; from pathlib import Path; from tandem.sources.staging import move_into_place, staged_folder\n"
        "move_into_place(Path('made'), Path('data/target'))\n"
        "print(Path('volume/target/file').read_text(), [path.name for path in Path('volume').iterdir()])\n"
        "try:\n"
        "    with staged_folder(Path('data')): pass\n"
        "except Exception as error: print(error)\n"
    )
    ended = _in_mounts("mount --bind volume data", tmp_path, sys.executable, "-c", program)
    moved, refused = ended.stdout.splitlines()
    assert moved == "new ['target']", ended.stderr
    assert refused.startswith("cannot write data: Device or resource busy")
    assert "mount the folder above it" in refused
    assert not (tmp_path / "made").exists()


def _in_mounts(mounts: str, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
