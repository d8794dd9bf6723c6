"""The Horovod wheel: what it depends on, its patches, and that it is bound to no place."""

import zipfile
from pathlib import Path

import build_horovod
import pytest
from build_horovod import (
    MPIS,
    PATCHES,
    BuildError,
    build_environment,
    build_facts,
    build_key,
    check_relocatable,
)
from patching import HUNK, apply_patch

FILES_OF_THE_SDIST = {
    "CMakeLists.txt",
    "cmake/Modules/FindTensorflow.cmake",
    "horovod/common/common.h",
    "horovod/common/group_table.h",
    "horovod/common/operations.cc",
    "horovod/common/tensor_queue.cc",
    "horovod/common/tensor_queue.h",
    "horovod/tensorflow/CMakeLists.txt",
    "horovod/torch/CMakeLists.txt",
    "horovod/torch/handle_manager.cc",
    "horovod/torch/handle_manager.h",
    "horovod/torch/mpi_ops_v2.cc",
}


def lay_old_text(patch: Path, root: Path) -> set[str]:
    """Write files that hold what the patch expects, at the lines where it expects it; return their names."""
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in patch.read_text().splitlines():
        if line.startswith("+++ "):
            lines = files.setdefault(line.removeprefix("+++ b/"), [])
        elif match := HUNK.match(line):
            lines += ["filler"] * (int(match[1]) - 1 - len(lines))
        elif files and not line.startswith(("+", "--- ")):
            lines.append(line[1:])
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("\n".join(text) + "\n")
    return set(files)


@pytest.mark.parametrize("patch", sorted(PATCHES.glob("*.patch")), ids=lambda patch: patch.stem)
def test_each_patch_is_whole_and_names_files_of_the_sdist(patch: Path, tmp_path: Path) -> None:
    names = lay_old_text(patch, tmp_path)
    assert names
    assert names <= FILES_OF_THE_SDIST
    assert {str(path.relative_to(tmp_path)) for path in apply_patch(patch, tmp_path)} == names
    patched = "".join((tmp_path / name).read_text() for name in names)
    assert all(line[1:] in patched for line in patch.read_text().splitlines() if line.startswith("+ "))


def test_the_facts_name_all_that_the_wheel_was_built_against(venv: Path) -> None:
    facts = build_facts(venv, MPIS["openmpi"])
    assert facts["horovod"] == "0.28.1"
    assert facts["sdist"] == "92a43f5a94c43907a56805bad15f19700c62ffc83b7ca483f9e104e229f67ef0"
    assert (facts["torch"], facts["tensorflow"]) == ("2.13.0+cpu", "2.21.0")
    assert (facts["mpi"], facts["mpi_version"]) == ("openmpi", "5.0.11")
    assert str(facts["python"]).startswith("cpython-311-")
    assert str(facts["compiler"]).startswith("g++")
    assert set(facts["patches"]) == {patch.name for patch in PATCHES.glob("*.patch")}  # type: ignore[call-overload]


def test_equal_facts_give_one_key_and_any_other_fact_another(venv: Path) -> None:
    facts = build_facts(venv, MPIS["openmpi"])
    assert build_key(dict(reversed(facts.items()))) == build_key(facts)
    keys = {build_key({**facts, name: "another"}) for name in facts}
    assert len(keys | {build_key(facts)}) == len(facts) + 1


def test_a_changed_patch_is_another_key(venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = build_key(build_facts(venv, MPIS["openmpi"]))
    other = tmp_path / "patches"
    other.mkdir()
    (other / "01.patch").write_text("another")
    monkeypatch.setattr(build_horovod, "PATCHES", other)
    assert build_key(build_facts(venv, MPIS["openmpi"])) != before


READELF = """
 0x0000000000000001 (NEEDED)             Shared library: [libmpi.so.40]
 0x000000000000001d (RUNPATH)            Library runpath: [$ORIGIN/../../torch/lib:{place}]
 0x000000000000000c (INIT)               0x5000
"""


@pytest.mark.parametrize(("place", "bound"), [("$ORIGIN/../../../..", False), ("/somebody/.venv/lib", True)])
def test_a_wheel_bound_to_the_place_of_its_build_is_refused(
    place: str, bound: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wheel = tmp_path / "horovod.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("horovod/torch/mpi_lib_v2.so", b"")
        archive.writestr("horovod/tensorflow/mpi_lib.so", b"")
    monkeypatch.setattr(build_horovod, "output", lambda _: READELF.format(place=place))
    if not bound:
        check_relocatable(wheel)
        return
    with pytest.raises(BuildError, match=r"torch/mpi_lib_v2\.so .* /somebody/\.venv/lib"):
        check_relocatable(wheel)


def test_the_environment_of_the_build_has_nothing_that_its_key_does_not(
    venv: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CXXFLAGS", "MAKEFLAGS", "HOROVOD_GPU", "CMAKE_PREFIX_PATH", "CXX", "PYTHONPATH"):
        monkeypatch.setenv(name, "--strange")
    environment = build_environment(venv, MPIS["openmpi"])
    assert "--strange" not in environment.values()
    assert environment["PATH"].startswith(f"{venv}/bin:")
