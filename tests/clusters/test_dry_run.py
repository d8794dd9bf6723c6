"""``tandem run --dry-run``: the exact lines for given hosts, the same as a launch's own, and nothing started."""

import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from projects import ROOT, Project
from tandem.distributed.job import RankProgram
from tandem.distributed.launch import launcher, preview
from tandem.distributed.launch.hosts import Host
from tandem.distributed.launch.survey import Surveyed
from tandem.distributed.topology import Cpu, Topology
from tandem.parameters import DistributedParameters
from tandem.storage.filesystems import storage_variables

PROGRAM = RankProgram("tandem.models.ncf.rank", "torch")
# 2 sockets of 2 cores, without SMT.
HOST = Topology(tuple(Cpu(cpu, cpu // 2, cpu, cpu // 2) for cpu in range(4)), tuple(range(4)), host="here")
BIN = Path(sys.executable).parent
KEEP_MEMORY = "MALLOC_MMAP_THRESHOLD_=1073741824 \\\nMALLOC_TRIM_THRESHOLD_=4294967296 \\\n"


@pytest.fixture(autouse=True)
def like_this_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "detect", lambda: HOST)
    monkeypatch.setattr(launcher, "detect", lambda: HOST)
    monkeypatch.setattr(launcher, "horovod_missing", lambda *_: None)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.delenv("SPARK_HOME", raising=False)
    for name in storage_variables():
        monkeypatch.delenv(name)


@pytest.fixture
def agent(tmp_path: Path) -> Path:
    """A launch agent that tells on whoever calls it."""
    path = tmp_path / "agent"
    path.write_text(f"#!/bin/bash\ntouch {tmp_path}/called\n")
    path.chmod(0o755)
    return path


def expected_job(work: Path, agent: Path) -> list[str]:
    """Two hosts of two sockets, a rank for each; nothing of it is asked of the code under test."""
    exported = [
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "OMP_PROC_BIND"),
        *("OMP_PLACES", "TF_NUM_INTEROP_THREADS", "TF_CPP_MIN_LOG_LEVEL", "HOROVOD_CYCLE_TIME"),
        *("HOROVOD_STALL_CHECK_TIME_SECONDS", "HOROVOD_STALL_SHUTDOWN_TIME_SECONDS", "OMPI_ALLOW_RUN_AS_ROOT"),
        *(
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
            "PYTHONSAFEPATH",
            "LC_ALL",
            "PYTHONPATH",
            "PYTHONUNBUFFERED",
            "MALLOC_MMAP_THRESHOLD_",
        ),
        *("MALLOC_TRIM_THRESHOLD_", "TANDEM_WORK_DIR", "TANDEM_JOB_ID", "TANDEM_NUM_RANKS", "TANDEM_SEVERAL_HOSTS"),
    ]
    return [
        f"{BIN}/mpirun -np 4 --host n1:2,n2:2 --map-by rankfile:file=RANKFILE",
        f"--prtemca prte_if_include 10.1.0.0/16 --prtemca tandem_job_id JOB --prtemca plm_ssh_agent '{agent} -q'",
        "--prtemca plm_ssh_no_tree_spawn 1 --prtemca oob_tcp_keepalive_time 150",
        "--prtemca oob_tcp_keepalive_intvl 75 --prtemca oob_tcp_keepalive_probes 4",
        "--mca pml ob1 --mca btl self,sm,tcp --mca mpi_yield_when_idle 1 --mca btl_tcp_if_include 10.1.0.0/16",
        *(f"-x {name}" for name in exported),
        f"--wdir {work} {sys.executable} -m tandem.models.ncf.rank {work}/spec.json",
    ]


def test_the_lines_of_a_run_on_a_cluster(project: Project, agent: Path, tmp_path: Path) -> None:
    (project.path("conf/cluster/parameters.yml")).write_text(
        f"spark: {{master: yarn, executors: 3, executor_cores: 5, executor_memory: 20g, queue: long, python: ./e/py}}\n"
        f"distributed: {{hosts: ['n1:2', 'n2:2'], launch_agent: {agent} -q, network: 10.1.0.0/16, "
        "stall_timeout_seconds: 600}\n"
    )
    done = project.run("--dry-run", env="cluster")
    assert done.code == 0, done.err
    spark, job = done.out.split("\n\n")
    work = project.path("data/06_models/jobs/ncf")

    head, line = spark.splitlines()
    assert head == "# Spark, with the first dataset that needs it"
    safe, utf8, home, python, program, *words = shlex.split(line)
    assert (safe, utf8, python) == ("PYTHONSAFEPATH=1", "LC_ALL=C.UTF-8", "PYSPARK_PYTHON=./e/py")
    assert (home, words[-1]) == (f"SPARK_HOME={Path(program).parents[1]}", "pyspark-shell")
    assert Path(program).parts[-3:] == ("pyspark", "bin", "spark-submit")
    assert Path(program).is_file()
    settings = {word.split("=", 1)[0]: word.split("=", 1)[1] for word in words[1:-1:2]}
    assert settings["spark.hadoop.fs.defaultFS"] == "file:///"
    assert {name: value for name, value in settings.items() if name.split(".")[1] in PLACED} == {
        "spark.master": "yarn",
        "spark.submit.deployMode": "client",
        "spark.driver.memory": "4g",
        "spark.driver.extraJavaOptions": settings["spark.driver.extraJavaOptions"],
        "spark.executor.instances": "3",
        "spark.executor.cores": "5",
        "spark.executor.memory": "20g",
        "spark.yarn.queue": "long",
    }

    lines = job.splitlines()
    assert lines[:2] == ["# train_ncf", "# named hosts are taken to be like this one; a run asks each of them"]
    assert [line.split() for line in lines[2:7]] == [
        ["#", "rank", "host", "cpus", "threads", "horovod", "numa", "bound"],
        *(
            ["#", str(rank), f"n{1 + rank // 2}", cpus, "2", "-", str(rank % 2), "to", "cores"]
            for rank, cpus in enumerate(["0-1", "2-3"] * 2)
        ),
    ]
    assert lines[7:11] == [
        f"# RANKFILE: rank {rank}=n{1 + rank // 2} slot={cores}" for rank, cores in enumerate(["0-1", "2-3"] * 2)
    ]
    assert f"\nTANDEM_WORK_DIR={work} \\\n" in job
    assert "\nOMP_NUM_THREADS=2 \\\n" in job
    assert KEEP_MEMORY in job
    assert lines[-1] == " ".join(expected_job(work, agent))


PLACED = ("master", "submit", "driver", "executor", "yarn", "kubernetes", "archives")


def test_a_dry_run_starts_and_writes_nothing(
    project: Project, agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **_: object) -> None:
        raise AssertionError(f"started {arguments}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("tandem.datasets.spark_session.spark_session", refuse)
    with project.path("conf/test/parameters.yml").open("a") as parameters:
        parameters.write(f"\ndistributed: {{hosts: [n1, n2], launch_agent: {agent}}}\n")
    done = project.run("--dry-run", tags="recsys2021,ncf")
    assert done.code == 0, done.err
    found = {line for line in done.out.splitlines() if line.startswith("# train_")}
    assert found == {"# train_ncf", "# train_two_tower", "# train_wnd"}
    assert not (tmp_path / "called").exists()
    assert not project.path("data").exists()


@pytest.mark.parametrize(
    ("tags", "trained"),
    [("deepfm", {"deepfm"}), ("deepfm,wnd", {"deepfm", "wnd"}), ("recsys2021", {"two_tower", "wnd"})],
)
def test_a_tag_finds_the_models_that_a_plain_run_leaves_out(project: Project, tags: str, trained: set[str]) -> None:
    done = project.run("--dry-run", tags=tags)
    assert done.code == 0, done.err
    found = {line.split("_", 1)[1] for line in done.out.splitlines() if line.startswith("# train_")}
    assert found == trained


def test_kedro_knows_the_runner_too(project: Project) -> None:
    assert project.run("--runner", "tandem.dry_run.DryRunner").out == project.run("--dry-run").out != ""


def test_what_cannot_run_is_told_as_in_a_run(project: Project) -> None:
    assert (
        "no program nowhere"
        in project.run(
            "--dry-run",
            "--params",
            f"distributed.hostfile={ROOT}/conf/cluster/hostfile.example,distributed.launch_agent=nowhere",
        ).error
    )


@pytest.mark.parametrize(
    "values",
    [
        {"num_ranks": 1},
        {"num_ranks": 2},
        {"num_ranks": 3, "bind": False},
        {"num_ranks": 9},
        {"hosts": ["n1:2", "n2:1"]},
    ],
)
def test_the_lines_are_those_of_the_launch(
    values: dict[str, Any], agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StartedError(Exception):
        pass

    def note(argv: list[str], environment: dict[str, str], log: Path, cpus: Any) -> None:
        raise StartedError(argv, environment)

    def surveyed(hosts: list[Host], *_: object, **__: object) -> list[Surveyed]:
        return [Surveyed(host, replace(HOST, host=host.name), 1 << 40) for host in hosts]

    monkeypatch.setattr(launcher, "start_tied", note)
    monkeypatch.setattr(launcher, "survey", surveyed)
    parameters = DistributedParameters.model_validate({"launch_agent": str(agent), **values})
    with pytest.raises(StartedError) as started:
        launcher.launch(PROGRAM.module, {}, parameters=parameters, framework="torch", work_dir=tmp_path)
    argv, environment = started.value.args
    told = preview.preview(PROGRAM, parameters, tmp_path)
    rankfile = next((word.split("=", 1)[1] for word in argv if word.startswith("rankfile:file=")), "")
    text = shlex.join(told.argv).replace("RANKFILE", rankfile.removesuffix(":hwtcpus"))
    assert text.replace(" JOB ", f" {environment['TANDEM_JOB_ID']} ") == shlex.join(argv)
    assert told.variables | {"TANDEM_JOB_ID": environment["TANDEM_JOB_ID"]} == {
        name: environment[name] for name in told.variables
    }
