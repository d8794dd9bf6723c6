"""Parameters of the Spark session: where it runs and how much it takes. What else Spark has to set is in spark.yml."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from tandem.parameters.closed import Parameters


def _fits(pattern: str, expected: str) -> AfterValidator:
    """A text of this form, asked for in words."""

    def check(text: str) -> str:
        if re.fullmatch(pattern, text) is None:
            raise ValueError(f"expected {expected}, found {text!r}")
        return text

    return AfterValidator(check)


Master = Annotated[
    str,
    _fits(r"local(\[(\*|[1-9]\d*)\])?|yarn|k8s://https?://\S+", "local[*], local[4], yarn or k8s://https://HOST:PORT"),
]
Memory = Annotated[str, _fits(r"[1-9]\d*[mg]", "a size of memory as 2500m or 8g")]
Text = Annotated[str, _fits(r"\S+", "a text without blanks")]
Folder = Annotated[str, _fits(r"/\S*[^\s/]", "an absolute path")]
KubernetesName = Annotated[
    str, _fits(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", "a name as Kubernetes has them: a-z, 0-9, - and .")
]

_VOLUME = "spark.kubernetes.executor.volumes.persistentVolumeClaim.data"


class KubernetesParameters(Parameters):
    """Spark's executors as pods, with a master ``k8s://…`` only."""

    image: Text | None = Field(
        default=None, description="of the executors: Spark, Java and this project's Python packages"
    )
    namespace: KubernetesName = Field(default="default", description="in which executors are made")
    driver_pod: KubernetesName | None = Field(
        default=None, description="the pod that the run is in, if it is: executors are removed with it"
    )
    claim: KubernetesName | None = Field(default=None, description="persistent volume claim with the project's folder")
    claim_path: Folder = Field(
        default="/project", description="where executors mount the claim: where the run has it too"
    )

    def settings(self) -> dict[str, str]:
        """Spark's settings."""
        found = {"spark.kubernetes.container.image": str(self.image), "spark.kubernetes.namespace": self.namespace}
        if self.driver_pod is not None:
            found["spark.kubernetes.driver.pod.name"] = self.driver_pod
        if self.claim is not None:
            found |= {
                f"{_VOLUME}.options.claimName": self.claim,
                f"{_VOLUME}.mount.path": self.claim_path,
                f"{_VOLUME}.mount.readOnly": "false",
            }
        return found


class SparkParameters(Parameters):
    """Where Spark runs, and with how many executors of which size; its driver is always the process of the run."""

    master: Master = Field(
        default="local[*]", description="`local[*]`, `local[4]`, `yarn` or `k8s://https://HOST:PORT`"
    )
    driver_memory: Memory = Field(default="4g", description="heap of the driver; with a local master, of all of Spark")
    short_run: bool = Field(
        default=False,
        description="for runs of about a minute: Java's quick compiler alone, which longer ones are slower with",
    )
    driver_host: Text | None = Field(
        default=None,
        description="address by which executors reach the driver; null: this host's name (127.0.0.1 for local)",
    )
    executors: int = Field(default=2, ge=1, description="this and what follows: not for a local master, which has none")
    executor_cores: int = Field(default=4, ge=1, description="tasks that an executor runs at the same time")
    executor_memory: Memory = Field(default="8g", description="heap of an executor")
    executor_overhead: Memory | None = Field(
        default=None,
        description="beside the heap, for Python processes and buffers; null: Spark's own, a share of the heap",
    )
    python: Text | None = Field(
        default=None, description="Python on the executors; null: the run's own, at the same path"
    )
    archives: tuple[Text, ...] = Field(
        default=(), description="unpacked for each executor, as `[hdfs:///env.tar.gz#environment]`"
    )
    queue: Text | None = Field(default=None, description="YARN's queue; null: its default one")
    kubernetes: KubernetesParameters = KubernetesParameters()

    @property
    def local(self) -> bool:
        """Whether Spark is this process's Java alone."""
        return self.master.startswith("local")

    def settings(self) -> dict[str, str]:
        """Spark's settings, by name: of the master in use only."""
        found = {"spark.master": self.master, "spark.driver.memory": self.driver_memory}
        if self.local:
            host = self.driver_host or "127.0.0.1"
            return found | {"spark.driver.host": host, "spark.driver.bindAddress": host}
        if self.driver_host is not None:
            found |= {"spark.driver.host": self.driver_host, "spark.driver.bindAddress": "0.0.0.0"}  # noqa: S104
        found |= {
            "spark.submit.deployMode": "client",
            "spark.executor.instances": str(self.executors),
            "spark.executor.cores": str(self.executor_cores),
            "spark.executor.memory": self.executor_memory,
        }
        if self.executor_overhead is not None:
            found["spark.executor.memoryOverhead"] = self.executor_overhead
        if self.archives:
            found["spark.archives"] = ",".join(self.archives)
        if self.master == "yarn":
            return found | ({"spark.yarn.queue": self.queue} if self.queue is not None else {})
        return found | self.kubernetes.settings()

    @model_validator(mode="after")
    def _fits_the_master(self) -> Self:
        if self.master.startswith("k8s://") and self.kubernetes.image is None:
            raise ValueError("expected kubernetes.image with a master k8s://…: the image that executors are made from")
        return self


# Every setting that a parameter decides: spark.yml may not set them beside it.
PARAMETER_OF_SETTING = {
    "spark.master": "master",
    "spark.driver.memory": "driver_memory",
    "spark.driver.host": "driver_host",
    "spark.driver.bindAddress": "driver_host",
    "spark.executor.instances": "executors",
    "spark.executor.cores": "executor_cores",
    "spark.executor.memory": "executor_memory",
    "spark.executor.memoryOverhead": "executor_overhead",
    "spark.archives": "archives",
    "spark.yarn.queue": "queue",
    "spark.kubernetes.container.image": "kubernetes.image",
    "spark.kubernetes.namespace": "kubernetes.namespace",
    "spark.kubernetes.driver.pod.name": "kubernetes.driver_pod",
    f"{_VOLUME}.options.claimName": "kubernetes.claim",
    f"{_VOLUME}.mount.path": "kubernetes.claim_path",
}
