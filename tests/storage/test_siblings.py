"""What a killed process left beside its output is told from what a living one is making, and settled."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tandem.distributed.job import write_text
from tandem.sources.staging import move_into_place, staged_file, staged_folder
from tandem.storage.siblings import held, new_file, new_folder, recover, sweep

MAKER = """\
import sys, time
from pathlib import Path
from tandem.sources.staging import staged_file, staged_folder

data = Path(sys.argv[1])
with staged_folder(data / "table") as folder, staged_file(data / "note") as file:
    (folder / "half").write_text("half")
    file.write_text("half")
    print("made", flush=True)
    time.sleep(600)
"""


def _folder(path: Path, content: str) -> Path:
    path.mkdir(parents=True)
    (path / "file").write_text(content)
    return path


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_what_a_living_process_makes_stays_and_what_a_killed_one_left_goes(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAKER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as maker:
        try:
            assert maker.stdout is not None
            assert maker.stdout.readline() == "made\n"
            beside = _names(tmp_path)
            assert [name[:-8] for name in beside] == [".note.new-", ".table.new-"]
            assert sweep(tmp_path.parent) == []
            assert _names(tmp_path) == beside
        finally:
            maker.send_signal(signal.SIGKILL)
    assert sweep(tmp_path) == [tmp_path / name for name in beside]
    assert _names(tmp_path) == []


def test_what_this_process_makes_stays(tmp_path: Path) -> None:
    with new_folder(tmp_path / "table") as folder, new_file(tmp_path / "note") as file:
        assert sweep(tmp_path) == []
        assert _names(tmp_path) == sorted([folder.name, file.name])


@pytest.mark.parametrize("role", ["old", "kept"])
def test_an_old_folder_is_put_back_where_the_new_one_never_came(tmp_path: Path, role: str) -> None:
    target = tmp_path / "deeper" / "table"
    _folder(target.parent / f".table.{role}-0123abcd", "old")
    _folder(target.parent / ".table.new-0123abcd", "half")
    assert len(sweep(tmp_path)) == 2
    assert _names(target.parent) == ["table"]
    assert (target / "file").read_text() == "old"


def test_an_old_folder_is_removed_where_the_new_one_came(tmp_path: Path) -> None:
    target = _folder(tmp_path / "table", "new")
    _folder(tmp_path / ".table.old-0123abcd", "old")
    assert recover(target) == [tmp_path / ".table.old-0123abcd"]
    assert _names(tmp_path) == ["table"]
    assert (target / "file").read_text() == "new"


def test_a_whole_copy_takes_the_place_of_what_was_being_removed(tmp_path: Path) -> None:
    (tmp_path / "table").mkdir()
    _folder(tmp_path / ".table.kept-0123abcd", "old")
    recover(tmp_path / "table")
    assert _names(tmp_path) == ["table"]
    assert (tmp_path / "table" / "file").read_text() == "old"


def test_every_write_settles_what_was_left_of_its_own_target(tmp_path: Path) -> None:
    def leave(*names: str) -> None:
        for name in names:
            (tmp_path / f".{name}.new-0123abcd").write_text("half")
        (tmp_path / ".another.new-0123abcd").write_text("half")

    made = _folder(tmp_path / "made", "new")
    leave("table", "note", "spec.json", "model")
    with staged_folder(tmp_path / "table"), staged_file(tmp_path / "note"):
        pass
    write_text(tmp_path / "spec.json", "{}")
    move_into_place(made, tmp_path / "model")
    assert _names(tmp_path) == [".another.new-0123abcd", "model", "note", "spec.json", "table"]


def test_names_of_others_and_places_that_are_not_there_are_let_be(tmp_path: Path) -> None:
    for name in (".table.new", ".table.new-0123ABCD", "table.new-0123abcd", ".hidden"):
        (tmp_path / name).write_text("mine")
    (tmp_path / ".link.new-0123abcd").symlink_to(tmp_path / ".hidden")
    before = _names(tmp_path)
    assert sweep(tmp_path) == []
    assert recover(tmp_path / "missing" / "table") == []
    assert _names(tmp_path) == before
    with held(tmp_path / "missing") as ours:
        assert ours is False


def test_a_lock_ends_with_its_holder_under_whatever_name(tmp_path: Path) -> None:
    first = _folder(tmp_path / "first", "one")
    with held(first) as ours:
        assert ours
        first.rename(tmp_path / "second")
        with held(tmp_path / "second") as again:
            assert again is False
    with held(tmp_path / "second") as free:
        assert free
