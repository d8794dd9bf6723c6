"""How well two towers do on rows held out of the training rows, between epochs.

Ranking is among a catalogue of at most ``validation_items`` items of the training rows, drawn by a hash of their keys,
and the items that the validated users took: enough to tell a better epoch from a worse one. The report at the end ranks
among all items.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tandem.batches.columns import LABEL, ColumnRows, stacked
from tandem.batches.row_blocks import RowStream
from tandem.batches.shards import rank_range
from tandem.batches.streaming import blocks_of
from tandem.distributed.ranks.communicator import Communicator
from tandem.evaluation.classification import classification_metrics
from tandem.evaluation.lists import Lists, Pairs, top_k
from tandem.evaluation.ranking import metrics_from_vector, ranking_sums
from tandem.hashing import first_by_hash
from tandem.models.two_tower.keys import Keys, distinct, gathered, keys_of
from tandem.models.two_tower.vectors import Floats, Towers
from tandem.parameters import TwoTowerParameters
from tandem.training.score_bins import ScoreBins
from tandem.training.task import Metrics

K = 100
BLOCK_USERS = 512
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Validation:
    """What is validated, the same on every rank but for ``rows``.

    rows: this rank's held-out rows, in memory or streamed. users, items: features of the validated users and of the
    catalogue, one row each.
    relevant: places (user, item) that the users took, and had not seen in training; seen: those that they had.
    """

    rows: ColumnRows | RowStream
    users: ColumnRows
    items: ColumnRows
    relevant: Pairs
    seen: Pairs

    def metrics(self, towers: Towers, communicator: Communicator) -> Metrics:
        """``auc`` of all held-out rows; ``recall@100`` and ``ndcg@100`` of the validated users; same on every rank."""
        metrics: Metrics = {"auc": self._auc(towers, communicator)}
        ranked = metrics_from_vector(self._ranking_sums(towers, communicator), K)
        return metrics | {name: ranked[name] for name in (f"recall@{K}", f"ndcg@{K}")}

    def _auc(self, towers: Towers, communicator: Communicator) -> float | None:
        """Exact where the rows are in memory, of products in bins where they are not."""
        if isinstance(self.rows, ColumnRows):
            products = communicator.allgather(towers.products(self.rows))
            labels = communicator.allgather(self.rows.column(LABEL).astype(np.int32))
            return classification_metrics(labels, _squeezed(products))["auc"]
        bins = ScoreBins()
        for labels, products in towers.labelled_products(self.rows):
            bins.add(labels, products)
        bins.add_up(communicator)
        return bins.auc()

    def _ranking_sums(self, towers: Towers, communicator: Communicator) -> npt.NDArray[np.float64]:
        """Users and sums of all ranks; each takes its share of the users."""
        items = _all_vectors(towers, self.items, communicator)
        mine = rank_range(len(self.users), communicator.rank, communicator.size)
        rows = np.arange(mine.start, mine.stop)
        users = towers.user.vectors(self.users.take(rows))
        lists = _lists(users, items, rows, self.seen)
        chosen = np.isin(self.relevant.users, rows)
        relevant = Pairs(self.relevant.users[chosen], self.relevant.items[chosen])
        sums = ranking_sums(Lists.of_matrix(rows, lists), relevant, len(items), K).vector()
        totals = communicator.allreduce_scalars({str(index): value for index, value in enumerate(sums)})
        return np.array(list(totals.values()))


def prepare_validation(
    training: ColumnRows | RowStream,
    held_out: ColumnRows | RowStream,
    parameters: TwoTowerParameters,
    communicator: Communicator,
) -> Validation:
    """Choose users and catalogue, the same for any number of ranks and of blocks; all rows are this rank's, with all
    labels."""
    model = parameters.model
    positives = gathered(_positives_of_some(held_out, parameters, communicator), communicator)
    user_keys, item_keys = keys_of(positives, "user", model.user), keys_of(positives, "item", model.item)
    catalogue = _catalogue(training, positives, parameters, communicator)
    items = keys_of(catalogue, "item", model.item)
    users = positives.take(distinct(user_keys)[0])
    names = keys_of(users, "user", model.user)
    seen = _seen(training, names, items, parameters, communicator)
    relevant = _without(_places(names, user_keys), _places(items, item_keys), seen, len(items))
    return Validation(held_out, users, catalogue, relevant, seen)


def _positives_of_some(
    held_out: ColumnRows | RowStream, parameters: TwoTowerParameters, communicator: Communicator
) -> ColumnRows:
    """This rank's positives of the users to validate, who are drawn from those of all ranks."""
    columns, count = parameters.model.user, parameters.validation_users

    def positives() -> Iterator[tuple[ColumnRows, Keys]]:
        for rows in blocks_of(held_out):
            taken = rows.where(rows.column(LABEL) > 0)
            yield taken, keys_of(taken, "user", columns)

    kept = list(positives()) if isinstance(held_out, ColumnRows) else None
    chosen = np.empty(0, np.int64)
    for _, keys in kept or positives():
        chosen = first_by_hash(np.concatenate([chosen, keys]), count)
    chosen = first_by_hash(communicator.allgather(chosen), count)
    return stacked([rows.where(np.isin(keys, chosen)) for rows, keys in kept or positives()])


def _catalogue(
    training: ColumnRows | RowStream, positives: ColumnRows, parameters: TwoTowerParameters, communicator: Communicator
) -> ColumnRows:
    """One row per item: those of the positives, and a sample of the others."""
    columns, count = parameters.model.item, parameters.validation_items
    offered = positives.take(np.empty(0, np.int64))
    for rows in blocks_of(training):
        keys = keys_of(rows, "item", columns)
        first, _ = distinct(keys)
        sample = first_by_hash(keys[first], count)
        both = stacked([offered, rows.take(first[np.isin(keys[first], sample)])])
        keys = keys_of(both, "item", columns)
        first, _ = distinct(keys)
        offered = both.take(first[np.isin(keys[first], first_by_hash(keys[first], count))])
    everywhere = gathered(offered, communicator)
    keys = keys_of(everywhere, "item", columns)
    sampled = everywhere.where(np.isin(keys, first_by_hash(keys, count)))
    both = stacked([positives, sampled])
    return both.take(distinct(keys_of(both, "item", columns))[0])


def _seen(
    training: ColumnRows | RowStream,
    users: Keys,
    items: Keys,
    parameters: TwoTowerParameters,
    communicator: Communicator,
) -> Pairs:
    """Places of the (user, item) pairs of all ranks' training rows."""
    found = [np.empty((0, 2), np.int64)]
    for rows in blocks_of(training):
        of_user, of_item = keys_of(rows, "user", parameters.model.user), keys_of(rows, "item", parameters.model.item)
        both = np.isin(of_user, users) & np.isin(of_item, items)
        pairs = np.column_stack([_places(users, of_user[both]), _places(items, of_item[both])])
        found.append(np.unique(pairs, axis=0).astype(np.int64))
    everywhere = communicator.allgather(np.unique(np.concatenate(found), axis=0))
    return Pairs(everywhere[:, 0], everywhere[:, 1])


def _without(users: Places, items: Places, seen: Pairs, num_items: int) -> Pairs:
    """The pairs that are not among those seen, which no list holds."""
    left = ~np.isin(users * num_items + items, seen.users * num_items + seen.items)
    return Pairs(users[left], items[left])


def _lists(users: Floats, items: Floats, rows: Places, seen: Pairs) -> Places:
    lists = np.full((len(users), K), -1, np.int64)
    for start in range(0, len(users), BLOCK_USERS):
        scores = users[start : start + BLOCK_USERS] @ items.T
        numbers = rows[start : start + len(scores)]
        inside = np.isin(seen.users, numbers)
        scores[seen.users[inside] - numbers[0], seen.items[inside]] = -np.inf
        lists[start : start + len(scores)], _ = top_k(scores, None, K)
    return lists


def _all_vectors(towers: Towers, items: ColumnRows, communicator: Communicator) -> Floats:
    """Vectors of all items; each rank computes its share."""
    mine = rank_range(len(items), communicator.rank, communicator.size)
    return communicator.allgather(towers.item.vectors(items.take(np.arange(mine.start, mine.stop))))


def _places(names: Keys, keys: Keys) -> Places:
    """Where each key stands among the distinct names, in their own order."""
    order = np.argsort(names, kind="stable")
    return order[np.searchsorted(names, keys, sorter=order)]


def _squeezed(products: Floats) -> npt.NDArray[np.float64]:
    """Products as numbers within 0..1, in their order, for metrics that look at the order alone."""
    values, places = np.unique(products, return_inverse=True)
    return np.asarray(places / max(1, len(values) - 1))
