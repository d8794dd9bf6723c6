"""What ``tandem topology`` prints: the hosts, the plan, and its words for an MPI."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from tandem.distributed.binding.mpi_arguments import Mpi, binds_itself, launch_line
from tandem.distributed.binding.planning import plan
from tandem.distributed.binding.table import BindingPlan
from tandem.distributed.topology import detect
from tandem.distributed.topology.description import describe
from tandem.distributed.topology.hwloc_xml import read_hwloc_xml
from tandem.errors import UserError
from tandem.parameters import DistributedParameters


def report_topology(files: Sequence[Path], parameters: DistributedParameters, mpi: Mpi | None) -> str:
    """Describe the hosts of the XML files (this host when there are none) and the plan for them.

    Raises:
        UserError: a file cannot be read, two have one name, or the parameters do not fit the hosts.
    """
    names = [file.stem for file in files]
    if len(set(names)) < len(names):
        raise UserError(f"--xml: each file is named after its host, but two are of one name: {', '.join(names)}")
    hosts = [read_hwloc_xml(file) for file in files] or [detect()]
    found = plan(hosts, parameters)
    parts = [describe(host) for host in hosts]
    parts.append(f"plan of {len(found.ranks)} rank{'s' * (len(found.ranks) > 1)}\n{found.table()}")
    parts[-1] += "".join(f"\nwarning: {warning}" for warning in found.warnings)
    return "\n\n".join([*parts, *([_in_words(found, mpi)] if mpi else [])])


def _in_words(found: BindingPlan, mpi: Mpi) -> str:
    said = launch_line(found, mpi, ["PROGRAM"], Path("RANKFILE"))
    settings = [f"{name}={shlex.quote(value)}" for name, value in said.environment.items()]
    lines = [f"as {mpi} is told", " ".join([*settings, "mpirun", *map(shlex.quote, said.arguments)])]
    if said.rankfile:
        lines += ["RANKFILE:", said.rankfile.rstrip()]
    if binds_itself(found, mpi):
        lines.append("note: this plan cannot be told to it: each rank binds itself")
    return "\n".join(lines)
