"""What a run was made of, for ``data`` in ``metrics.json``: which rows, which settings, how long it trained."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tandem import __version__

GENERATED = frozenset({"synthetic", "planted", "noise", "unique"})
"""Kinds of data that Tandem makes itself."""

# A resumed run, or one that was given more memory, is the same run.
NOT_SETTINGS = frozenset({"resume", "memory_limit_mb"})


def source_facts(kind: str, path: str | None, folder: str) -> dict[str, Any]:
    """Which data were read: ``dataset``, ``source`` and ``generated``.

    Args:
        kind: the parameter ``movielens`` or ``recsys2021``, or ``tables``.
        path: as the user gave it.
        folder: where the data are without a path.
    """
    return {"dataset": kind, "source": str(path or folder), "generated": kind in GENERATED}


def interaction_facts(
    data: str, tables: Mapping[str, Any] | None, movielens: str, movielens_path: str | None
) -> dict[str, Any]:
    """``source_facts`` of interactions.

    Args:
        data: the parameter: ``movielens``, or ``tables`` of one's own.
        tables: the parameter, for its path.
        movielens: which MovieLens.
        movielens_path: as the user gave it.
    """
    if data == "tables":
        return source_facts("tables", (tables or {}).get("path"), ".")
    return source_facts(movielens, movielens_path, "data/01_raw/movielens")


def training_facts(
    quality: Mapping[str, Any],
    settings: Mapping[str, Any],
    history: Sequence[Mapping[str, Any]],
    seed: int,
    published_model: str = "evaluated",
) -> dict[str, Any]:
    """All of it, the data's ``source_facts`` first.

    Args:
        quality: the content of ``data_quality.json``, with the source facts under "data".
        settings: the model's block of parameters, as JSON.
        history: the content of ``history.json``.
        seed: of the run.
        published_model: "evaluated", or "all rows" where it has learnt the test rows too.
    """
    epochs = Counter(str(record.get("phase", "search")) for record in history)
    chosen = next((record["epoch"] for record in history if record.get("chosen")), None)
    return {
        **quality.get("data", {}),
        "seed": seed,
        "settings": {name: value for name, value in settings.items() if name not in NOT_SETTINGS},
        "chosen_epoch": chosen,
        "epochs_trained": dict(epochs),
        "published_model": published_model,
        "tandem_version": __version__,
    }


def described(quality: Mapping[str, Any], rows: int, noun: str) -> str:
    """The data in a few words: "generated data of 40,000 interactions", or "ml-100k in PATH"."""
    data = quality.get("data", {})
    if not data or data["generated"]:
        return f"generated data of {rows:,} {noun}" if data else f"{rows:,} {noun}"
    return f"{data['source']} ({data['dataset']}, {rows:,} {noun})"
