"""What lies beside generated rows of the RecSys Challenge 2021: how they were made, how well they can be predicted."""

import json
from dataclasses import dataclass
from typing import Literal

from tandem.storage.filesystems import is_file, read_text
from tandem.storage.locations import Location

Kind = Literal["planted", "noise", "unique"]

MANIFEST = "planted.json"
# Raised with every change of the rows that a size and a seed give.
VERSION = 2


@dataclass(frozen=True)
class Manifest:
    """What was generated, and what can be learnt from it.

    Attributes:
        kind: what the labels are: planted by a known function, coin flips (noise), or coin flips on unique ids.
        rows: train and test together.
        seed: of every draw.
        version: of the generator.
        train_rows: rows for training, 80 % by a hash of each row's number.
        test_rows: the others.
        base_rate: share of the test rows with any engagement.
        best_auc: area under the ROC curve of the true probability of any engagement, on the test rows: what a model
            that knows everything reaches. Its error by binning the probabilities is below 1e-4.
    """

    kind: Kind
    rows: int
    seed: int
    version: int
    train_rows: int
    test_rows: int
    base_rate: float
    best_auc: float


def read_manifest(folder: Location) -> Manifest | None:
    """What was generated in ``folder``; None where nothing was, or by another version."""
    path = folder / MANIFEST
    if not is_file(path):
        return None
    try:
        manifest = Manifest(**json.loads(read_text(path, "utf-8")))
    except (ValueError, TypeError):
        return None
    return manifest if manifest.version == VERSION else None
