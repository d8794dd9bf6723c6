"""The items that NCF can list: what they are called, and how popular they are."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse

from tandem.batches.shards import read_columns
from tandem.evaluation.lists import PADDING
from tandem.storage.locations import Location


@dataclass(frozen=True)
class Catalogue:
    """Items by their encoded id; 0 is unknown, and no item.

    item_ids: int64 [items + 1], ascending behind the first; shares: of the training users who have it, float64
    [items + 1]; by_popularity: encoded ids, the most popular first, ties ascending, int64 [items].
    """

    item_ids: npt.NDArray[np.int64]
    shares: npt.NDArray[np.float64]
    by_popularity: npt.NDArray[np.int64]

    @classmethod
    def read(cls, item_table: Location, num_users: int) -> "Catalogue":
        """Of the feature table of the items; num_users: with training rows."""
        columns = read_columns(item_table, ("item", "item_id", "popularity"))
        place = np.argsort(columns["item"])
        popularity = columns["popularity"][place]
        first = np.zeros(1, np.int64)
        return cls(
            np.concatenate([first, columns["item_id"][place].astype(np.int64)]),
            np.concatenate([first, popularity]) / max(1, num_users),
            np.argsort(-popularity, kind="stable") + 1,
        )

    def encode(self, item_ids: npt.NDArray[np.int64]) -> npt.NDArray[np.int32]:
        """Encoded ids, [n]; 0 where no training row has the item."""
        known = self.item_ids[1:]
        places = np.minimum(np.searchsorted(known, item_ids), len(known) - 1)
        return np.where(known[places] == item_ids, places + 1, 0).astype(np.int32)

    def most_popular(self, had: sparse.csr_matrix, length: int) -> npt.NDArray[np.int64]:
        """The most popular items that each user has not, [users, length], ``PADDING`` where there are no more.

        had: [users, items + 1].
        """
        lists = np.full((had.shape[0], length), PADDING, np.int64)
        for row, (start, stop) in enumerate(zip(had.indptr[:-1], had.indptr[1:], strict=True)):
            best = self.by_popularity[: length + stop - start]
            left = best[~np.isin(best, had.indices[start:stop])][:length]
            lists[row, : len(left)] = left
        return lists
