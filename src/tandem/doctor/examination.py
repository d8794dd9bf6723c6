"""All looks of the doctor's, taken at once; and what of their answers is no fault of a user who installed a wheel."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from tandem.distributed import installed
from tandem.distributed.installed import DISTRIBUTIONS, NOT_INSTALLED, find_horovod, find_mpirun, read_record
from tandem.doctor.checks import (
    NO_MPIRUN,
    NOT_TRIED,
    SET_UP,
    SET_UP_ANEW,
    check_allreduce,
    check_cores,
    check_framework,
    check_horovod,
    check_java,
    check_mpi,
    check_python,
)
from tandem.doctor.report import Check
from tandem.doctor.surroundings import LOOKS
from tandem.models.click import CLICK_MODELS
from tandem.parameters import ChosenMpi
from tandem.surroundings import how_to_install, project_folder

INSTALL_ANEW = "run pip install again, of the wheel with its extras and of the Horovod that `make setup` made for it"
INTEL_MPI_ANEW = "run `make clean setup MPI=intelmpi` in the project's folder"
# Which models train with them.
TRAINS = {"torch": "ncf", "tensorflow": ", ".join([*CLICK_MODELS, "two_tower"])}


def run_checks(environ: Mapping[str, str] = os.environ) -> list[Check]:
    """Look at everything, in about the time of the slowest check (two ranks that load TensorFlow: some 10 s).

    Intel MPI comes after the rest: four ranks at once are enough.
    """
    looks: list[Callable[[], Check]] = [
        check_python,
        partial(check_java, environ),
        check_cores,
        *(partial(look, environ) for look in LOOKS),
        *_looks_at_ranks("openmpi", environ),
    ]
    answers = _answers(looks)
    if installed.intel_mpi_folder().is_dir():
        answers += map(_of_intel_mpi, _answers(_looks_at_ranks("intelmpi", environ)))
    return answers if project_folder() is not None else list(map(_of_a_wheel, answers))


def _looks_at_ranks(mpi: ChosenMpi, environ: Mapping[str, str]) -> list[Callable[[], Check]]:
    """What ranks need: the frameworks, this MPI, and the Horovod that was built against it."""
    horovod, program = find_horovod(mpi), find_mpirun(mpi, environ)
    record = read_record(horovod)
    return [
        partial(check_horovod, horovod, record),
        *(partial(check_framework, name, names, record) for name, names in DISTRIBUTIONS.items()),
        partial(check_mpi, program, horovod, record),
        *(partial(check_allreduce, name, program, horovod, environ, mpi) for name in DISTRIBUTIONS),
    ]


def _of_intel_mpi(check: Check) -> Check:
    return replace(check, name=f"Intel MPI: {check.name}", mend=INTEL_MPI_ANEW)


def _of_a_wheel(check: Check) -> Check:
    """What a wheel's user has not installed is not wrong: it is told what needs it, and how to install it."""
    if check.name in TRAINS and check.found == NOT_INSTALLED:
        found = f"{NOT_INSTALLED}: needed for {TRAINS[check.name]}; {how_to_install([check.name])}"
        return replace(check, ok=True, present=False, found=found)
    if check.found.startswith((NOT_INSTALLED, NOT_TRIED)):
        return replace(check, ok=True, present=False)
    if check.name == "MPI" and check.found == NO_MPIRUN:
        found = f"{NO_MPIRUN}: needed for several ranks, with Horovod; {how_to_install(['mpi'])}"
        return replace(check, ok=True, present=False, found=found)
    return replace(check, mend=check.mend.replace(SET_UP_ANEW, INSTALL_ANEW).replace(SET_UP, INSTALL_ANEW))


def _answers(looks: Sequence[Callable[[], Check]]) -> list[Check]:
    with ThreadPoolExecutor(len(looks)) as pool:
        return [answer.result() for answer in [pool.submit(look) for look in looks]]
