"""Built wheels are kept whole, found again, and built once."""

import json
from pathlib import Path

import horovod_cache
import pytest
from build_horovod import MPIS, BuildError, build_facts, build_key, sha256, site_packages
from horovod_cache import build_into_cache, cache_root, cached_wheel, installed_key


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
