"""Validation of NCF between epochs: held-out rows scored, and held-out positives ranked among all unseen items."""

import numpy as np
import numpy.typing as npt
import torch

from tandem.distributed.collectives import Communicator
from tandem.evaluation.lists import Lists, Pairs, top_k
from tandem.evaluation.ranking import ranking_sums
from tandem.models.ncf import NeuMF
from tandem.training.ncf_data import LabelledPairs, ValidationRows

Floats = npt.NDArray[np.float64]

K = 10
USERS_AT_ONCE = 256


@torch.no_grad()
def validate_ncf(model: NeuMF, rows: ValidationRows, communicator: Communicator) -> dict[str, float]:
    """Metrics over the held-out rows of all ranks, the same on every rank.

    Returns ``log_loss`` (where negatives are held out too), ``ndcg@10`` and ``recall@10``.
    """
    model.eval()
    sums = _ranking_sums(model, rows) | _log_loss_sums(logits_of(model, rows.rows), rows.rows)
    model.train()
    totals = communicator.allreduce_scalars(sums)
    metrics = {}
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
    sums = ranking_sums(Lists.of_matrix(rows.users, lists), Pairs(rows.users[index], items), num_items, K)
    _, ndcg, _, _, recall = sums.sums
    return {"users": sums.users, "ndcg": float(ndcg), "recall": float(recall)}


@torch.no_grad()
def logits_of(model: NeuMF, rows: LabelledPairs, block: int = 65_536) -> Floats:
    """Logits of pairs, float64 [rows], a block at a time; the model is expected in evaluation mode."""
    logits = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        users, items = torch.from_numpy(rows.pairs.users[part]), torch.from_numpy(rows.pairs.items[part])
        logits[part] = model(users, items).numpy()
    return logits


def _log_loss_sums(logits: Floats, rows: LabelledPairs) -> dict[str, float]:
    """log(1 + exp(-z)) for positives, log(1 + exp(z)) for negatives."""
    losses = np.logaddexp(0.0, np.where(rows.labels > 0, -logits, logits))
    return {
        "log_loss": float(losses.sum()),
        "rows": float(len(rows)),
        "negatives": float(np.count_nonzero(rows.labels == 0)),
    }
