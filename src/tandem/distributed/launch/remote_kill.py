"""Ending what a job still has on other hosts.

mpirun's daemons end their ranks when it ends or its connection dies. ``python -m
tandem.distributed.launch.remote_kill JOB_ID`` on each of them makes sure, where it can be reached.
"""

import signal
import sys
from collections.abc import Sequence

from tandem.distributed.launch.hosts import Host, python_there, run_on_all
from tandem.distributed.launch.processes import pids_of_job, signal_ranks


def end_on_hosts(hosts: Sequence[Host], agent: Sequence[str], job_id: str, seconds: float) -> list[str]:
    """Kill whatever the job left on hosts other than this one; returns the names of those that do not answer."""
    others = [host for host in hosts if not host.here]
    if not others:
        return []
    answers = run_on_all(others, python_there(__name__, job_id), agent, seconds)
    return [host.name for host, answer in zip(others, answers, strict=True) if answer.code != 0]


if __name__ == "__main__":
    signal_ranks(pids_of_job(sys.argv[1]), signal.SIGKILL)
