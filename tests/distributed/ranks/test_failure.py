"""What a rank takes its own failure for."""

from tandem.distributed.ranks.failure import out_of_memory


class ResourceExhaustedError(Exception):
    """As TensorFlow names it, which must not be imported beside PyTorch."""


def test_what_is_taken_for_a_lack_of_memory() -> None:
    torchs = "[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9"
    for error in (MemoryError(), RuntimeError(torchs), ResourceExhaustedError()):
        assert out_of_memory(error)
    assert not out_of_memory(RuntimeError("shapes differ"))
