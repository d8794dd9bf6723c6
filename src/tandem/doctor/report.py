"""The answer to one look of the doctor's, and all of them as a table."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """One thing looked at: whether it fits, what was found, and what to do when it does not.

    present: whether there is anything to judge.
    """

    name: str
    ok: bool
    found: str
    mend: str = ""
    present: bool = True

    @property
    def mark(self) -> str:
        """At the beginning of its line."""
        return ("ok" if self.present else "-") if self.ok else "FAIL"


def report(checks: Sequence[Check]) -> str:
    """Return the checks as a table, and below it one line per mend."""
    width = max(len(check.name) for check in checks)
    lines = [f"{check.mark:<4}  {check.name:<{width}}  {check.found}" for check in checks]
    mends = [f"{check.name}: {check.mend}" for check in checks if not check.ok]
    return "\n".join(lines + (["", *mends] if mends else []))
