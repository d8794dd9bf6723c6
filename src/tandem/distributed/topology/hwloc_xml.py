"""Reads a host from hwloc's XML (``lstopo --of xml``), for hosts other than this one."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tandem.distributed.topology.cpu_lists import parse_hwloc_mask
from tandem.distributed.topology.machine import Cpu, Topology
from tandem.errors import UserError

_SHARED = ("Die", "Group", "Cache", "L1Cache", "L2Cache", "L3Cache", "L4Cache", "L5Cache")


@dataclass(frozen=True)
class _Node:
    """A NUMA domain; ``near`` are the CPUs next to its memory, its own or those of another domain beside it."""

    id: int
    near: frozenset[int]
    memory: int


def read_hwloc_xml(path: Path, host: str | None = None) -> Topology:
    """Read a topology as hwloc 1.x or 2.x exports it. It knows no CPU quota; its cpuset is taken as the mask as well.

    Raises:
        UserError: the file cannot be read or is no such topology.
    """
    try:
        root = ET.parse(path).getroot()  # noqa: S314 (the user's own file, and expat limits entities)
        machine = root.find("object")
        if root.tag != "topology" or machine is None:
            raise UserError(f"{path} is no hwloc topology; write one on that host: lstopo --of xml {path.name}")
        return _topology(machine, host or path.stem)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from error
    except (ET.ParseError, ValueError, KeyError) as error:
        raise UserError(f"{path} is no intact hwloc topology: {error!r}") from error


def _topology(machine: ET.Element, host: str) -> Topology:
    nodes = [
        _Node(int(found.attrib["os_index"]), parse_hwloc_mask(found.get("cpuset", "0x0")), _memory(found))
        for found in machine.iter("object")
        if found.get("type") == "NUMANode"
    ]
    cpus = tuple(sorted(_cpus(machine, nodes), key=lambda cpu: cpu.id))
    if not cpus:
        raise ValueError("no CPU in it")
    present = {cpu.id for cpu in cpus}
    allowed = present & parse_hwloc_mask(machine.get("allowed_cpuset") or machine.attrib["cpuset"])
    shared = {_complete(found) for found in machine.iter("object") if found.get("type") in _SHARED}
    models = (found.get("value", "") for found in machine.iter("info") if found.get("name") == "CPUModel")
    return Topology(
        cpus,
        allowed=tuple(sorted(allowed)),
        cpuset=None if allowed == present else tuple(sorted(allowed)),
        shared=tuple(shared),
        memory={node.id: node.memory for node in nodes},
        model=next(models, ""),
        host=host,
    )


def _cpus(found: ET.Element, nodes: list[_Node], package: int = 0, core: frozenset[int] | None = None) -> Iterator[Cpu]:
    kind, number = found.get("type"), int(found.get("os_index", "0"))
    if kind in ("Package", "Socket"):
        package = number
    elif kind == "Core":
        core = _complete(found)
    elif kind == "PU":
        yield Cpu(number, package, min(core or {number}), _numa(number, nodes))
    for child in found.findall("object"):
        yield from _cpus(child, nodes, package, core)


def _numa(cpu: int, nodes: list[_Node]) -> int:
    """The closest domain; beside memory of another kind (HBM, CXL), which has no CPUs to the kernel, the first one."""
    near = [node for node in nodes if cpu in node.near]
    return min(near, key=lambda node: (len(node.near), node.id)).id if near else 0


def _memory(found: ET.Element) -> int:
    attributes: Mapping[str, str] = found.attrib
    return int(attributes.get("local_memory", "0"))


def _complete(found: ET.Element) -> frozenset[int]:
    return parse_hwloc_mask(found.get("complete_cpuset") or found.attrib["cpuset"])
