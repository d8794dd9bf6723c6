"""A run in surroundings that other programs, other users and other hosts have made, and what is put away of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.framework.project import configure_project, pipelines
from pyspark.sql import SparkSession

from own_logs import own_log
from projects import ROOT, Project
from tandem import surroundings
from tandem.models.click import CLICK_MODELS
from tandem.requirements import NEEDS, missing

CAN_UNSHARE = subprocess.run(["unshare", "-m", "-u", "true"], capture_output=True, check=False).returncode == 0
needs_namespaces = pytest.mark.skipif(not CAN_UNSHARE, reason="needs root, for namespaces of its own")
OTHERS = {
    "SPARK_HOME": "/opt/other",
    "SPARK_CONF_DIR": "/opt/other/conf",
    "SPARK_REMOTE": "sc://elsewhere",
    "SPARK_SUBMIT_OPTS": "-Xnope",
    "PYSPARK_PYTHON": "/usr/bin/python3",
    "PYSPARK_DRIVER_PYTHON": "jupyter",
    "PYSPARK_GATEWAY_PORT": "1",
    "JAVA_TOOL_OPTIONS": "-Xnope",
    "_JAVA_OPTIONS": "-Xnope",
}
# A user number without a name and without a home, on a host whose name has no address.
NAMELESS = (
    *("unshare", "-u", "sh", "-c", 'hostname not.resolvable.example; exec "$@"', "sh"),
    *("unshare", "-U", "--map-user=54321", "--map-group=54321"),
)


def tandem(project: Path, *arguments: str, around: tuple[str, ...] = (), **environ: str) -> tuple[int, str]:
    """The command as a shell starts it, with these variables more."""
    command = [*around, str(Path(sys.executable).parent / "tandem"), *arguments]
    variables = {name: value for name, value in os.environ.items() if name not in ("HOME", "PYTHONPATH")}
    variables |= {"PYTHONPATH": str(ROOT / "src")} | environ
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@needs_namespaces
@pytest.mark.slow
def test_nothing_around_decides_how_spark_and_ranks_run(finished: Project, tmp_path: Path) -> None:
    """All at once: other installations, no name, no home, no address, no UTF-8, and a module in the working folder."""
    project = finished.copy(tmp_path / "project")
    logs = tmp_path / "données"
    logs.mkdir()
    rows = {"user_id": [1, 1, 2], "item_id": [1, 2, 1], "timestamp": [10, 20, 30]}
    pq.write_table(pa.table(rows), logs / "interactions.parquet")
    project.path("queue.py").write_text("raise ImportError('the module of the working folder')\n")
    nodes = "clean_interactions,train_ncf,predict_ncf_test"
    parameters = f"{own_log(logs)},distributed.num_ranks=2"
    code, said = tandem(
        project.folder,
        *("run", "--env", "test", "--nodes", nodes, "--params", parameters),
        around=NAMELESS,
        LC_ALL="C",
        **OTHERS,
    )
    assert code == 0, said
    assert f"left out for Spark, as set for other programs: {', '.join(sorted(OTHERS))}" in said
    assert "Interactions: 3 interactions of 2 users and 2 items" in said
    assert "WARN" not in said


@needs_namespaces
@pytest.mark.slow
def test_ranks_that_do_not_fit_into_dev_shm_are_not_started(finished: Project, tmp_path: Path) -> None:
    project = finished.copy(tmp_path / "project")
    before = project.content("data/06_models/ncf")
    small = ("unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=16m tmpfs /dev/shm; exec "$@"', "sh")
    arguments = ("run", "--env", "test", "--nodes", "train_ncf", "--params", "distributed.num_ranks=2")
    code, said = tandem(project.folder, *arguments, around=small)
    assert code == 1
    expected = "Error: /dev/shm is too small for 2 ranks: of its 16 MiB 16 MiB are free, and they need 22 MiB; give it"
    assert said.splitlines()[-1].startswith(expected), said
    assert "--shm-size" in said
    assert "Traceback" not in said
    assert project.content("data/06_models/ncf") == before


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"JAVA_HOME": "/nowhere"}, "JAVA_HOME is /nowhere, where Spark cannot start bin/java (No such file"),
        ({"JAVA_HOME": "OLD"}, "is too old for Spark (it is Java 11); install Java 17 or newer"),
    ],
)
def test_why_java_does_not_start_is_told_by_its_cause(
    environ: dict[str, str], told: str, project: Project, tmp_path: Path
) -> None:
    java = tmp_path / "old" / "bin" / "java"
    java.parent.mkdir(parents=True)
    words = "java.lang.UnsupportedClassVersionError: Main (class file version 61.0), not class file versions up to 55"
    java.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    java.chmod(0o755)
    homes = {name: value.replace("OLD", str(tmp_path / "old")) for name, value in environ.items()}
    code, said = tandem(project.folder, "run", "--env", "test", "--nodes", "clean_interactions", **homes)
    assert code == 1
    generated, line = said.splitlines()
    assert "generated" in generated
    assert told in line


def test_a_local_spark_keeps_a_place_of_others_and_nothing_that_decides() -> None:
    environ = {**OTHERS, "SPARK_LOCAL_DIRS": "/scratch", "HADOOP_CONF_DIR": "/etc/hadoop", "TMPDIR": "/scratch"}
    put_away = surroundings.make_environment(environ, local=True, python="/here/python")
    assert put_away == sorted(OTHERS)
    kept = {"SPARK_LOCAL_DIRS": "/scratch", "HADOOP_CONF_DIR": "/etc/hadoop", "TMPDIR": "/scratch"}
    made = {"SPARK_HOME": str(surroundings.spark_home()), "PYSPARK_PYTHON": "/here/python", "LC_ALL": "C.UTF-8"}
    here = {"SPARK_LOCAL_IP": "127.0.0.1", "SPARK_LOCAL_HOSTNAME": "localhost", "PYTHONSAFEPATH": "1"}
    assert environ == kept | made | here
    assert surroundings.make_environment(environ, local=True, python="/here/python") == []


def test_on_a_cluster_its_settings_stay_and_the_driver_is_still_this_environments() -> None:
    environ = {**OTHERS}
    environ |= {"SPARK_LOCAL_IP": "127.0.0.1"}  # as an earlier session of the same process leaves it
    put_away = surroundings.make_environment(environ, local=False, python="./there/python")
    stays = {"SPARK_CONF_DIR", "SPARK_SUBMIT_OPTS", "JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS"}
    assert put_away == sorted(set(OTHERS) - stays)
    assert stays <= set(environ)
    assert environ["PYSPARK_PYTHON"] == "./there/python"
    assert "SPARK_LOCAL_IP" not in environ


def test_the_pyspark_of_another_spark_is_taken_from_the_path(tmp_path: Path) -> None:
    (tmp_path / "spark" / "pyspark").mkdir(parents=True)
    (tmp_path / "spark" / "pyspark" / "__init__.py").touch()
    others = [str(tmp_path / "spark"), str(tmp_path / "spark" / "lib" / "py4j-0.10.9-src.zip")]
    path, environ = [*others, "/mine"], {"PYTHONPATH": os.pathsep.join([*others, "/mine"])}
    surroundings.own_pyspark_first(path, environ)
    assert (path, environ["PYTHONPATH"]) == (["/mine"], "/mine")
    told = surroundings.make_environment({}, local=True, python="python")
    assert told == [f"{folder} in PYTHONPATH" for folder in others]


def test_an_empty_part_of_the_import_path_is_no_working_folder_to_those_that_are_started() -> None:
    assert surroundings.process_variables({"PYTHONPATH": ":/a::/b:"})["PYTHONPATH"] == "/a:/b"


def test_java_is_told_a_home_where_the_users_number_has_no_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surroundings, "has_name", lambda: False)
    monkeypatch.setattr("tempfile.tempdir", "/scratch")
    home = tmp_path / "a home"
    home.mkdir()
    options = surroundings.java_places({"HOME": str(home), "USER": "somebody"})
    assert options[1:] == [f'"-Duser.home={home}"', "-Duser.name=somebody"]
    number = f"-Duser.name=user{os.getuid()}"
    assert surroundings.java_places({"HOME": "/nowhere"}) == [
        "-Djava.io.tmpdir=/scratch",
        "-Duser.home=/scratch",
        number,
    ]
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    assert surroundings.cache_folder({}) is None


def test_temporary_files_of_java_are_where_pythons_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert surroundings.java_places({}) == [f"-Djava.io.tmpdir={tmp_path}"]


def test_what_is_not_installed_is_known_before_spark_starts(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    found = importlib.util.find_spec
    hidden = {"faiss", "sklearn"}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *at: None if name in hidden else found(name, *at))
    monkeypatch.setattr("tandem.surroundings.project_folder", lambda: None)
    session = SparkSession.getActiveSession()
    error = project.run(tags="recsys2021").error
    assert error == (
        'this run needs what is not installed: faiss, sklearn; run pip install "tandem-recsys[retrieval,tensorflow]"'
    )
    assert not list(project.path("data").glob("0*"))
    assert SparkSession.getActiveSession() is session
    assert missing(["clean_interactions"], {}) == {}
    no_trees = {"baselines": {"models": ["logistic_regression"]}}
    torch = {model: no_trees | {"framework": "torch", "builder": "mine.build"} for model in CLICK_MODELS}
    assert missing(NEEDS, torch) == {"retrieval": ["faiss"]}
    assert missing(["evaluate_deepfm_baselines"], torch | {"deepfm": {}}) == {"tensorflow": ["sklearn"]}


def test_what_nodes_need_is_told_of_nodes_that_there_are() -> None:
    configure_project("tandem")
    assert set(NEEDS) <= {node.name for pipeline in pipelines.values() for node in pipeline.nodes}


def test_every_extra_brings_what_its_modules_import() -> None:
    """As the wheel's metadata say it; what the nodes need of an extra is held against its own list."""
    import tomllib

    from packaging.requirements import Requirement

    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    distributions = {"sklearn": "scikit-learn", "faiss": "faiss-cpu", "tensorflow": "tensorflow-cpu"}
    both = [{"wnd": {"framework": framework, "builder": "mine.build"}} for framework in ("torch", "tensorflow")]
    needs = {pair for need in NEEDS.values() for parameters in both for pair in need(parameters).items()}
    assert {extra for _, extra in needs} == {"torch", "tensorflow", "als", "retrieval"}
    for module, extra in needs:
        names = {Requirement(text).name for text in extras[extra]}
        assert distributions.get(module, module) in names, f"{extra} lacks {module}"


def test_the_readmes_example_is_clean_to_a_users_strict_mypy(tmp_path: Path) -> None:
    import re

    (code,) = re.findall(r"^```python\n(.+?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / "example.py").write_text(code)
    (tmp_path / "mypy.ini").write_text("[mypy]\n")
    shutil.copytree(ROOT / "src" / "tandem", tmp_path / "site" / "tandem")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "mypy.ini", "example.py"],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": "", "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
