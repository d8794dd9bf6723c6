"""Validation of NCF between epochs: held-out rows scored, and held-out positives ranked among all unseen items."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from tandem.distributed.ranks.communicator import Communicator
from tandem.evaluation.lists import Lists, top_k
from tandem.evaluation.lists import Pairs as TakenPairs
from tandem.evaluation.ranking import ranking_sums
from tandem.models.ncf.negatives import Pairs
from tandem.models.ncf.network import NeuMF
from tandem.models.ncf.rows import LabelledPairs, ValidationRows
from tandem.models.ncf.streamed_pairs import StreamedPairs
from tandem.training.task import Metrics

Floats = npt.NDArray[np.float64]

K = 10
USERS_AT_ONCE = 256
# Pairs scored at once of a stream: what a model computes of them should stay far below the memory limit.
STREAMED_BLOCK = 8_192


@torch.no_grad()
def validate_ncf(model: NeuMF, rows: ValidationRows, communicator: Communicator) -> Metrics:
    """Metrics over the held-out rows of all ranks, the same on every rank.

    Returns ``log_loss`` (where negatives are held out too), ``ndcg@10`` and ``recall@10``.
    """
    model.eval()
    sums = _ranking_sums(model, rows) | _log_loss_sums(model, rows.rows)
    model.train()
    totals = communicator.allreduce_scalars(sums)
    metrics: Metrics = {}
    if totals["negatives"] > 0:
        metrics["log_loss"] = totals["log_loss"] / totals["rows"]
    users = max(1.0, totals["users"])
    return metrics | {f"ndcg@{K}": totals["ndcg"] / users, f"recall@{K}": totals["recall"] / users}


def _ranking_sums(model: NeuMF, rows: ValidationRows) -> dict[str, float]:
    lists = np.full((len(rows.users), K), -1, np.int64)
    item_rows = model.items.all()
    for start in range(0, len(rows.users), USERS_AT_ONCE):
        part = slice(start, start + USERS_AT_ONCE)
        scores = model.score_all(torch.from_numpy(rows.users[part]), item_rows)
        scores[:, 0] = -torch.inf
        lists[part], _ = top_k(scores.numpy(), rows.seen[part], K)
    index, items = rows.relevant.nonzero()
    num_items = rows.relevant.shape[1] - 1
    sums = ranking_sums(Lists.of_matrix(rows.users, lists), TakenPairs(rows.users[index], items), num_items, K)
    _, ndcg, _, _, recall = sums.sums
    return {"users": sums.users, "ndcg": float(ndcg), "recall": float(recall)}


@torch.no_grad()
def logits_of(model: NeuMF, pairs: Pairs, block: int = 65_536) -> Floats:
    """Logits of pairs, float64 [rows], a block at a time; the model is expected in evaluation mode."""
    logits = np.empty(len(pairs), np.float64)
    for start in range(0, len(pairs), block):
        part = slice(start, start + block)
        users, items = torch.from_numpy(pairs.users[part]), torch.from_numpy(pairs.items[part])
        logits[part] = model(users, items).numpy()
    return logits


def labelled_logits(model: NeuMF, rows: LabelledPairs | StreamedPairs) -> Iterator[tuple[Floats, Floats]]:
    """Labels and logits, float64, both [n]: of all rows at once where they are in memory, of blocks where not."""
    if isinstance(rows, LabelledPairs):
        yield rows.labels.astype(np.float64), logits_of(model, rows.pairs)
        return
    for pairs, labels in rows:
        yield labels.astype(np.float64), logits_of(model, pairs, STREAMED_BLOCK)


def _log_loss_sums(model: NeuMF, rows: LabelledPairs | StreamedPairs) -> dict[str, float]:
    """log(1 + exp(-z)) for positives, log(1 + exp(z)) for negatives."""
    sums = {"log_loss": 0.0, "rows": 0.0, "negatives": 0.0}
    for labels, logits in labelled_logits(model, rows):
        sums["log_loss"] += float(np.logaddexp(0.0, np.where(labels > 0, -logits, logits)).sum())
        sums["rows"] += float(len(labels))
        sums["negatives"] += float(np.count_nonzero(labels == 0))
    return sums
