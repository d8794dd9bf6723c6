"""What ``launch`` would start, without starting it: the plan, the exact argument list and the variables of the ranks.

Two things are drawn anew by every launch, the job's number and the folder of the rankfile; here they have fixed names.
"""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.job import Job, RankProgram
from tandem.distributed.launch import mpirun
from tandem.distributed.launch.hosts import find_agent, hosts_of
from tandem.distributed.launch.launcher import make_plan
from tandem.distributed.topology import Topology, detect
from tandem.parameters import DistributedParameters
from tandem.storage.filesystems import storage_variables

JOB_NUMBER = "JOB"
RANKFILE = Path("RANKFILE")


@dataclass(frozen=True)
class Preview:
    """One launch: its argument list, what its environment adds, and the rankfile's text ("" where it needs none)."""

    plan: BindingPlan
    argv: list[str]
    variables: dict[str, str]
    rankfile: str

    def lines(self) -> Iterator[str]:
        """The plan, the variables and the command, as a shell would take them."""
        yield from (f"# {line}" for line in (*self.plan.warnings, *self.plan.table().splitlines()))
        if self.rankfile:
            yield from (f"# {RANKFILE}: {line}" for line in self.rankfile.splitlines())
        yield from (f"{name}={shlex.quote(value)} \\" for name, value in sorted(self.variables.items()))
        yield shlex.join(self.argv)


def preview(
    program: RankProgram, parameters: DistributedParameters, work_dir: Path, topology: Topology | None = None
) -> Preview:
    """The launch of a program in the ranks of these parameters; no host is asked anything.

    Args:
        program: what the ranks run.
        parameters: how many ranks, and where.
        work_dir: the node's work folder.
        topology: of the hosts, where they are named: all are taken to be alike; None: like this one.

    Raises:
        UserError: as ``launch`` does, of what can be known without asking a host.
    """
    job = Job(work_dir)
    hosts = hosts_of(parameters)
    agent = find_agent(parameters) if hosts else []
    alike = topology or detect()
    topologies = [replace(alike, host=host.name) for host in hosts] or [alike]
    plan = make_plan(topologies, parameters, program.framework, hosts)
    own = mpirun.own_variables(
        plan,
        module=program.module,
        work_dir=job.work_dir,
        job_id=JOB_NUMBER,
        stall_seconds=parameters.stall_timeout_seconds,
        mpi=parameters.mpi,
    )
    exported = (*own, *storage_variables())
    reach = mpirun.Reach(agent, parameters.network, parameters.stall_timeout_seconds, JOB_NUMBER, exported)
    argv = mpirun.command(plan, program.module, job.spec_file, RANKFILE, reach if plan.named else None, parameters.mpi)
    return Preview(plan, argv, own, "" if mpirun.without_mpi(plan) else mpirun.rankfile(plan, parameters.mpi))
