"""``make bench``: each model's training beside what a user would write instead, and the wall time of every stage.

``python -m benchmarks [ncf] [recsys2021] [scaling] [exchange]`` runs some of them. Each writes a JSON file into
``data/08_reporting/benchmarks``.
"""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks import exchange, ncf, recsys2021, scaling
from benchmarks.runs import PROJECT

BENCHMARKS = {"ncf": ncf, "recsys2021": recsys2021, "scaling": scaling, "exchange": exchange}


def main() -> None:
    """Measure, print, write."""
    for name in sys.argv[1:] or BENCHMARKS:
        with tempfile.TemporaryDirectory(prefix="tandem-bench-") as folder:
            figures = BENCHMARKS[name].measure(Path(folder))
        print(BENCHMARKS[name].table(figures), flush=True)
        target = PROJECT / f"data/08_reporting/benchmarks/{name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
