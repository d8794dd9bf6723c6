"""``make bench``: each model's training beside what a user would write instead, and the wall time of every stage.

``python -m benchmarks [ncf] [recsys2021] [scaling] [exchange]`` runs some of them. Each writes a JSON file into
``data/08_reporting/benchmarks``.
"""

import argparse
import importlib
import json
import sys
import tempfile
from pathlib import Path

# What each measures, and about how many minutes it takes on two idle cores.
BENCHMARKS = {
    "ncf": ("NCF beside a plain PyTorch loop, under Open MPI and Intel MPI, and the seconds of every stage", 5),
    "recsys2021": ("Wide & Deep and two towers beside plain Keras, speeds and AUC, and the seconds of every stage", 10),
    "scaling": ("each model on one and two ranks, bound and not, and on two hosts", 15),
    "exchange": ("what adding up a gradient costs two ranks, and what Horovod's settings change of it", 2),
}


def main() -> None:
    """Measure, print, write."""
    for name in asked(sys.argv[1:]):
        benchmark = importlib.import_module(f"benchmarks.{name}")
        with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
            figures = benchmark.measure(Path(folder))
        print(benchmark.table(figures), flush=True)
        target = Path(__file__).parents[1] / f"data/08_reporting/benchmarks/{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(figures, indent=2) + "\n")


def asked(arguments: list[str]) -> list[str]:
    """Names of benchmarks, all without any; ends the program with one line where there is no such benchmark."""
    lines = [f"  {name:<12}{what}; about {minutes} min" for name, (what, minutes) in BENCHMARKS.items()]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure, print a table, and write data/08_reporting/benchmarks/NAME.json.",
        epilog="\n".join(["benchmarks (minutes on two idle cores):", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which to run; without any, all of them")
    names: list[str] = parser.parse_args(arguments).names
    for name in names:
        if name not in BENCHMARKS:
            sys.exit(f"Error: there is no benchmark {name}; there are {', '.join(BENCHMARKS)}")
    return names or list(BENCHMARKS)


if __name__ == "__main__":
    main()
