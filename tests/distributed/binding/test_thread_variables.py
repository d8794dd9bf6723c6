"""What a rank's libraries are told of its threads and CPUs."""

from tandem.distributed.binding.planning import plan
from tandem.distributed.binding.thread_variables import thread_variables
from tandem.distributed.topology import Cpu, Topology
from tandem.parameters import DistributedParameters


def test_the_environment_of_a_rank_follows_its_binding() -> None:
    cpus = tuple(Cpu(cpu, cpu // 8 % 2, cpu % 16, cpu // 8 % 2) for cpu in range(32))
    hosts = [Topology(cpus, tuple(range(32)), host="large"), Topology(cpus[:2], (0, 1), host="small")]
    ranks = plan(hosts, DistributedParameters(), ranks_per_host=[2, 1]).ranks
    large = thread_variables(ranks[1], ranks)
    assert large["HOROVOD_THREAD_AFFINITY"] == "7,15", "one CPU per rank of the host"
    assert (large["OMP_NUM_THREADS"], large["OMP_PLACES"]) == ("7", "cores")
    small = thread_variables(ranks[2], ranks)
    assert "HOROVOD_THREAD_AFFINITY" not in small
    assert small["TF_NUM_INTRAOP_THREADS"] == "2"
    siblings = plan(hosts[:1], DistributedParameters(hardware_threads=True)).ranks
    assert thread_variables(siblings[0], siblings)["OMP_PLACES"] == "threads"
    unbound = plan(hosts[:1], DistributedParameters(bind=False)).ranks
    assert "OMP_PROC_BIND" not in thread_variables(unbound[0], unbound)
