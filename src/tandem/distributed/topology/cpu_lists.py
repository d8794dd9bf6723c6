"""CPU sets in the three spellings of this field: the kernel's lists, and bit masks with and without commas."""

from collections.abc import Iterable


def parse_cpu_list(text: str) -> tuple[int, ...]:
    """``"0-2,8"`` -> ``(0, 1, 2, 8)``; the kernel's list format. Raises ValueError on anything else."""
    cpus: set[int] = set()
    for part in filter(None, (part.strip() for part in text.strip().split(","))):
        first, _, last = part.partition("-")
        cpus.update(range(int(first), int(last or first) + 1))
    return tuple(sorted(cpus))


def format_cpu_list(cpus: Iterable[int]) -> str:
    """``(0, 1, 2, 8)`` -> ``"0-2,8"``."""
    runs: list[list[int]] = []
    for cpu in sorted(set(cpus)):
        if runs and cpu == runs[-1][1] + 1:
            runs[-1][1] = cpu
        else:
            runs.append([cpu, cpu])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def parse_hwloc_mask(text: str) -> frozenset[int]:
    """``"0x00000001,0xf0000000"`` -> ``{28, 29, 30, 31, 32}``: words of 32 bits, the highest first, an empty one is 0.

    Raises ValueError on anything else, an infinite mask (``0xf...f``) included.
    """
    bits = 0
    for word in text.split(","):
        bits = bits << 32 | int(word or "0", 16)
    return frozenset(bit for bit in range(bits.bit_length()) if bits >> bit & 1)


def format_mask(cpus: Iterable[int]) -> str:
    """``(0, 1, 33)`` -> ``"0x200000003"``."""
    return hex(sum(1 << cpu for cpu in set(cpus)))
