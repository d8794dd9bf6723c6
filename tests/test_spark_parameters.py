"""The block ``spark``: which settings it becomes for each master, and what is refused."""

import os
import shlex
import sys

import pytest
from pydantic import ValidationError

from tandem.errors import UserError, invalid_parameters
from tandem.hooks import configure_spark
from tandem.parameters import KubernetesParameters, SparkParameters
from tandem.parameters.spark import PARAMETER_OF_SETTING

SIZE = {"executors": 6, "executor_cores": 5, "executor_memory": "20g", "executor_overhead": "4g"}
EXECUTORS = {
    "spark.submit.deployMode": "client",
    "spark.executor.instances": "6",
    "spark.executor.cores": "5",
    "spark.executor.memory": "20g",
    "spark.executor.memoryOverhead": "4g",
}


def parameters(**values: object) -> SparkParameters:
    return SparkParameters.model_validate(values)


def test_a_local_spark_is_one_java_on_the_loopback_interface() -> None:
    assert parameters(**SIZE).settings() == {
        "spark.master": "local[*]",
        "spark.driver.memory": "4g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
    }


def test_yarn_is_asked_for_the_executors_and_gets_no_loopback_address_to_call_back() -> None:
    found = parameters(master="yarn", queue="long", archives=["hdfs:///e.tar.gz#environment", "a.zip"], **SIZE)
    assert found.settings() == EXECUTORS | {
        "spark.master": "yarn",
        "spark.driver.memory": "4g",
        "spark.archives": "hdfs:///e.tar.gz#environment,a.zip",
        "spark.yarn.queue": "long",
    }


def test_kubernetes_is_asked_for_pods_with_the_image_and_the_projects_volume() -> None:
    volume = "spark.kubernetes.executor.volumes.persistentVolumeClaim.data"
    pods = {"image": "here/tandem:1", "namespace": "ml", "driver_pod": "run-1", "claim": "data", "claim_path": "/p"}
    found = parameters(master="k8s://https://h:6443", driver_host="10.0.0.7", queue="ignored", kubernetes=pods, **SIZE)
    assert found.settings() == EXECUTORS | {
        "spark.master": "k8s://https://h:6443",
        "spark.driver.memory": "4g",
        "spark.driver.host": "10.0.0.7",
        "spark.driver.bindAddress": "0.0.0.0",  # noqa: S104 -- in a pod, whose address is another
        "spark.kubernetes.container.image": "here/tandem:1",
        "spark.kubernetes.namespace": "ml",
        "spark.kubernetes.driver.pod.name": "run-1",
        f"{volume}.options.claimName": "data",
        f"{volume}.mount.path": "/p",
        f"{volume}.mount.readOnly": "false",
    }


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"master": "mesos://h"}, "spark.master: expected local[*], local[4], yarn or k8s://https://HOST:PORT, found "),
        ({"master": "local[0]"}, "spark.master: expected local[*], local[4], yarn or k8s://https://HOST:PORT, found "),
        ({"driver_memory": "4tb"}, "spark.driver_memory: expected a size of memory as 2500m or 8g, found '4tb'"),
        ({"executors": 0}, "spark.executors: expected at least 1"),
        ({"executor": 2}, "spark.executor: there is no such parameter; did you mean executors?"),
        ({"kubernetes": {"namespace": "A_b"}}, "spark.kubernetes.namespace: expected a name as Kubernetes has them"),
        ({"kubernetes": {"claim_path": "p"}}, "spark.kubernetes.claim_path: expected an absolute path, found 'p'"),
        ({"master": "k8s://https://h:1"}, "spark: expected kubernetes.image with a master k8s://"),
    ],
)
def test_what_does_not_fit_is_told_by_its_full_name(values: dict[str, object], text: str) -> None:
    with pytest.raises(ValidationError) as error:
        parameters(**values)
    (told,) = invalid_parameters("spark", SparkParameters, error.value)
    assert told.startswith(text)


def test_every_setting_that_a_parameter_decides_is_known_and_none_else() -> None:
    pods = KubernetesParameters(image="i", driver_pod="d", claim="c")
    everything = {**SIZE, "driver_host": "h", "queue": "q", "archives": ["a"], "kubernetes": pods}
    masters = ("local[*]", "yarn", "k8s://https://h:1")
    made = {name for master in masters for name in parameters(master=master, **everything).settings()}
    fixed = {"spark.submit.deployMode", "spark.kubernetes.executor.volumes.persistentVolumeClaim.data.mount.readOnly"}
    assert made - fixed == set(PARAMETER_OF_SETTING)


@pytest.mark.parametrize("name", sorted(PARAMETER_OF_SETTING))
def test_spark_yml_cannot_say_otherwise_than_a_parameter(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "")
    with pytest.raises(UserError, match=f"spark.yml sets {name}, which the parameter spark.[a-z_.]+ decides"):
        configure_spark({}, {name: "value"})


def test_parameters_and_spark_yml_reach_the_session_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "")
    monkeypatch.delenv("PYSPARK_PYTHON")
    configure_spark({"master": "local[3]", "python": "elsewhere"}, {"spark.ui.enabled": False})
    words = shlex.split(os.environ["PYSPARK_SUBMIT_ARGS"])
    assert {"spark.master=local[3]", "spark.ui.enabled=false"} <= set(words)
    assert os.environ["PYSPARK_PYTHON"] == sys.executable, "a local Spark has no other host's Python"


@pytest.mark.parametrize("short", [True, False])
def test_a_short_run_adds_to_the_options_of_java(short: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "")
    monkeypatch.setattr("tandem.hooks.java_options", lambda: "-Xshare:auto")
    configure_spark({"short_run": short}, {"spark.driver.extraJavaOptions": "-Xms1g"})
    compiler = "-XX:TieredStopAtLevel=1 " if short else ""
    options = f"spark.driver.extraJavaOptions=-Xms1g {compiler}-Xshare:auto"
    assert options in shlex.split(os.environ["PYSPARK_SUBMIT_ARGS"])


def test_executors_get_the_python_that_is_named_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYSPARK_SUBMIT_ARGS", "")
    monkeypatch.setenv("PYSPARK_PYTHON", "python3")
    configure_spark({"master": "yarn", "python": "./environment/bin/python"}, {})
    assert os.environ["PYSPARK_PYTHON"] == "./environment/bin/python"
