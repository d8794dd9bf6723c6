import os
import signal
from pathlib import Path

import pytest

from tandem.errors import UserError
from tandem.sources import staging
from tandem.sources.staging import move_into_place, staged_file, staged_folder, swap_into_place


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


def test_a_folder_is_moved_within_a_file_system_and_across(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "deeper" / "target"
    move_into_place(_folder(tmp_path / "first", "first"), target)
    assert (target / "file").read_text() == "first"

    stat = Path.stat

    class _Elsewhere:
        st_dev = -1

    second = _folder(tmp_path / "second", "second")
    (second / "inner").mkdir()
    elsewhere = {second: _Elsewhere()}
    with monkeypatch.context() as patch:
        patch.setattr(staging.Path, "stat", lambda self, **how: elsewhere.pop(self, None) or stat(self, **how))
        move_into_place(second, target)
    assert not elsewhere
    assert _names(target) == ["file", "inner"]
    assert (target / "file").read_text() == "second"
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
