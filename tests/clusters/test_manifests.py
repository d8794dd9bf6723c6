"""What ``conf/cluster`` has for Slurm and Kubernetes: checked as far as it goes without either."""

import copy
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from clusters.schema import faults
from projects import ROOT
from tandem.distributed.launch.hosts import Host, hosts_of, run_on
from tandem.parameters import DistributedParameters, SparkParameters
from tandem.settings import CONFIG_LOADER_ARGS

CLUSTER = ROOT / "conf/cluster"
SCHEMA = json.loads((Path(__file__).parent / "mpijob_v2beta1.json").read_text())


@pytest.fixture
def job() -> dict[str, Any]:
    return next(part for part in yaml.safe_load_all((CLUSTER / "mpijob.yml").read_text()) if part["kind"] == "MPIJob")


def pods(job: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: part["template"]["spec"] for name, part in job["spec"]["mpiReplicaSpecs"].items()}


def test_the_mpijob_fits_the_operators_schema(job: dict[str, Any]) -> None:
    assert list(faults(job, SCHEMA["MPIJob"], SCHEMA)) == []


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        (("spec", "slotPerWorker"), 2, ".spec.slotPerWorker: unknown"),
        (("spec", "slotsPerWorker"), "2", ".spec.slotsPerWorker: no integer"),
        (("spec", "mpiImplementation"), "OpenMPI5", ".spec.mpiImplementation: none of"),
        (("spec", "mpiReplicaSpecs", "Launcher", "replicas"), 2, ".spec.mpiReplicaSpecs.Launcher.replicas: 2 out of"),
        (("spec", "mpiReplicaSpecs", "Worker", "template"), {}, ".spec.mpiReplicaSpecs.Worker.template.spec: missing"),
    ],
)
def test_the_schema_refuses(job: dict[str, Any], path: tuple[str, ...], value: Any, fault: str) -> None:
    wrong = inner = copy.deepcopy(job)
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    (found,) = faults(wrong, SCHEMA["MPIJob"], SCHEMA)
    assert found.startswith(fault)


def test_all_pods_see_the_project_at_one_place_and_have_one_image(job: dict[str, Any]) -> None:
    containers = [container for pod in pods(job).values() for container in pod["containers"]]
    for pod in pods(job).values():
        mounted = {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}
    spark = cluster_parameters()["spark"]["kubernetes"]
    assert {container["image"] for container in containers} == {spark["image"]}
    assert {container["workingDir"] for container in containers} == {spark["claim_path"]}
    claims = [volume for pod in pods(job).values() for volume in pod["volumes"] if "persistentVolumeClaim" in volume]
    assert {volume["persistentVolumeClaim"]["claimName"] for volume in claims} == {spark["claim"]}


def test_the_launcher_waits_until_the_workers_answer(job: dict[str, Any]) -> None:
    """Its preflight asks every worker once; one whose ssh server is not up yet would end the run."""
    assert job["spec"]["launcherCreationPolicy"] == "WaitForWorkersReady"
    (worker,) = pods(job)["Worker"]["containers"]
    assert worker["readinessProbe"]["tcpSocket"]["port"] == 22, "ready is when ssh answers"


def test_the_launchers_parameters_fit_their_types(job: dict[str, Any]) -> None:
    (container,) = pods(job)["Launcher"]["containers"]
    text = container["args"][container["args"].index("--params") + 1]
    for name in container["env"]:
        text = text.replace(f"$({name['name']})", "a-1")
    assert "$(" not in text
    blocks = cluster_parameters()
    for pair in text.split(","):
        name, value = pair.split("=", 1)
        *folders, key = name.split(".")
        inner = blocks
        for folder in folders:
            inner = inner[folder]
        inner[key] = value
    settings = SparkParameters.model_validate(blocks["spark"]).settings()
    assert settings["spark.kubernetes.driver.pod.name"] == settings["spark.driver.host"] == "a-1"
    assert DistributedParameters.model_validate(blocks["distributed"]).hostfile == Path("/etc/mpi/hostfile")


def test_the_operators_hostfile_is_read(tmp_path: Path) -> None:
    hostfile = tmp_path / "hostfile"
    hostfile.write_text("tandem-x-worker-0.tandem-x.ml.svc slots=2\ntandem-x-worker-1.tandem-x.ml.svc slots=2\n")
    named = [Host(f"tandem-x-worker-{number}.tandem-x.ml.svc", 2) for number in range(2)]
    assert hosts_of(DistributedParameters(hostfile=hostfile)) == named


def test_the_example_of_a_hostfile_is_read() -> None:
    found = hosts_of(DistributedParameters(hostfile=CLUSTER / "hostfile.example"))
    assert found == [Host("node1", 2), Host("node2", 2)]


def cluster_parameters() -> dict[str, Any]:
    return dict(OmegaConfigLoader(str(ROOT / "conf"), env="cluster", **CONFIG_LOADER_ARGS)["parameters"])


def test_the_environment_is_one_for_yarn() -> None:
    settings = SparkParameters.model_validate(cluster_parameters()["spark"]).settings()
    assert settings["spark.master"] == "yarn"
    assert "spark.driver.host" not in settings, "executors call back: 127.0.0.1 would be their own"


@pytest.mark.parametrize("name", ["run.sbatch", "slurm_agent.sh"])
def test_scripts_are_bash(name: str) -> None:
    subprocess.run(["bash", "-n", CLUSTER / name], check=True)
    assert os.access(CLUSTER / name, os.X_OK)


def put(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)


def test_the_slurm_agent_runs_a_command_on_its_node_and_keeps_open_mpis_daemon_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """srun is one of ours: it notes its options, and runs what follows them."""
    noting = 'while [[ $1 == --* ]]; do echo "$1" >>options; shift; done\nexec "$@"'
    put(tmp_path / "bin", "srun", noting)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    agent = [str(CLUSTER / "slurm_agent.sh"), "--jobid=7"]
    answer = run_on(Host("node1"), ["printf", "%s|", "two words", "it's", "$HOME"], agent, 30.0)
    assert (answer.code, answer.out) == (0, "two words|it's|$HOME|"), answer.err
    options = (tmp_path / "options").read_text().split()
    assert {"--jobid=7", "--nodelist=node1", "--overlap", "--ntasks=1", "--cpu-bind=none"} <= set(options)
    words = subprocess.run(
        [*agent, "node1", "A=1;", "echo", "--daemonize", "x"], capture_output=True, text=True, check=True
    )
    assert words.stdout == "x\n", "a step ends with its first process, and all that is in it"


def test_the_slurm_script_hands_over_hosts_and_agent_and_hides_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "bin", "scontrol", 'echo "$@" >asked; printf "node1\\nnode2\\n"')
    told = 'printf "%s\\n" "$@" >given; env | grep ^SLURM_ >seen; cp hosts-* hosts; exit 7'
    put(tmp_path / ".venv", "unused", "")
    put(tmp_path / ".venv/bin", "tandem", told)
    for name, value in {"SLURM_JOB_ID": "12", "SLURM_JOB_NODELIST": "node[1-2]", "SLURM_NTASKS": "2"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PARAMS", "ncf.epochs=5,seed=7")
    monkeypatch.setenv("SLURM_SUBMIT_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    done = subprocess.run([CLUSTER / "run.sbatch", "--tags", "ncf"], capture_output=True, text=True, check=False)
    assert done.returncode == 7, done.stderr
    assert (tmp_path / "asked").read_text() == "show hostnames node[1-2]\n"
    assert (tmp_path / "hosts").read_text() == "node1\nnode2\n"
    assert (tmp_path / "seen").read_text() == ""
    assert not (tmp_path / "hosts-12").exists()
    assert (tmp_path / "given").read_text().splitlines() == [
        *("run", "--env", "cluster", "--tags", "ncf", "--params"),
        f"spark.master=local[*],distributed.hostfile={tmp_path}/hosts-12,"
        f"distributed.launch_agent={tmp_path}/conf/cluster/slurm_agent.sh --jobid=12,ncf.epochs=5,seed=7",
    ]
