"""A host's topology as JSON, to be planned on another host."""

import json
from dataclasses import asdict, replace

from tandem.distributed.topology.machine import Cpu, Topology


def to_json(host: Topology) -> str:
    """All of it, as one line."""
    return json.dumps(asdict(replace(host, shared=())) | {"shared": [sorted(group) for group in host.shared]})


def from_json(text: str) -> Topology:
    """What ``to_json`` wrote; KeyError, TypeError or ValueError on anything else."""
    found = json.loads(text)
    return Topology(
        cpus=tuple(Cpu(**cpu) for cpu in found["cpus"]),
        allowed=tuple(found["allowed"]),
        quota=found["quota"],
        cpuset=None if found["cpuset"] is None else tuple(found["cpuset"]),
        shared=tuple(frozenset(group) for group in found["shared"]),
        memory={int(domain): size for domain, size in found["memory"].items()},
        isa=tuple(found["isa"]),
        model=found["model"],
        host=found["host"],
    )
