"""Losses of NCF, summed over a batch, so that ranks of unequal batches add up to the mean of one."""

import torch
from torch import Tensor
from torch.nn import functional

from tandem.models.ncf.negatives import Batch, SharedBatch
from tandem.models.ncf.network import NeuMF
from tandem.parameters import NCFParameters

MINUS_INFINITY = -1e30


def summed_loss(model: NeuMF, batch: Batch | SharedBatch, parameters: NCFParameters) -> Tensor:
    """Weighted sum of the losses of all (user, item) pairs of a batch, a float32 scalar.

    A sampled softmax counts a positive with its negatives as often as binary cross entropy weighs them, so that the
    same divisor serves both.
    """
    loss = _data_loss(model, batch, parameters)
    if parameters.embedding_l2 > 0.0:
        loss = loss + parameters.embedding_l2 * _squared_embeddings(model, batch)
    return loss


def _data_loss(model: NeuMF, batch: Batch | SharedBatch, parameters: NCFParameters) -> Tensor:
    if isinstance(batch, SharedBatch):
        positives, negatives = model.forward_shared(
            batch.users, batch.negatives, batch.positive_rows, batch.positive_items
        )
        if parameters.loss == "bce":
            return _shared_bce(positives.float(), negatives.float(), batch.weights)
        return _shared_softmax(positives.float(), negatives.float(), batch) * (1.0 + parameters.fresh_negatives)
    logits = model(batch.users, batch.items).float()
    if parameters.loss == "bce":
        return functional.binary_cross_entropy_with_logits(logits, batch.labels, reduction="sum")
    first = torch.zeros(len(logits), dtype=torch.int64)
    return torch.mul(functional.cross_entropy(logits, first, reduction="sum"), logits.shape[1])


def _squared_embeddings(model: NeuMF, batch: Batch | SharedBatch) -> Tensor:
    """Sum over pairs, weighed as their losses are, of the squared GMF embeddings of user and item.

    The penalty of Rendle et al. 2020 (arXiv 2005.09683), who penalise negatives as they do positives: an item that is
    only ever drawn as a negative would otherwise be free.
    """
    total = torch.zeros(())
    for side, ids, weights in zip((model.users, model.items), *_pairs_per_id(batch), strict=True):
        count = torch.bincount(ids.reshape(-1), weights.reshape(-1), minlength=side.sizes.num_ids)
        total = total + torch.dot(count, side.gmf.weight.square().sum(1))
    return total


def _pairs_per_id(batch: Batch | SharedBatch) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Ids of users and of items, and what the pairs of each weigh; an id may occur more than once."""
    if isinstance(batch, SharedBatch):
        positives = torch.bincount(batch.positive_rows, minlength=len(batch.users))
        items = torch.cat([batch.negatives, batch.positive_items])
        item_weights = torch.cat([batch.weights.sum(0), torch.ones(len(batch.positive_items))])
        return (batch.users, items), (positives + batch.weights.sum(1), item_weights)
    users = torch.full(batch.users.shape, batch.items.numel() / len(batch.users))
    return (batch.users, batch.items), (users, torch.ones(batch.items.shape))


def _shared_bce(positives: Tensor, negatives: Tensor, weights: Tensor) -> Tensor:
    """positives: [P]; negatives, weights: [B, K]."""
    return torch.add(functional.softplus(-positives).sum(), (weights * functional.softplus(negatives)).sum())


def _shared_softmax(positives: Tensor, negatives: Tensor, batch: SharedBatch) -> Tensor:
    """Each positive against its user's negatives: -log(e^p / (e^p + sum of e^n)), summed over the positives [P]."""
    allowed = negatives.masked_fill(batch.weights == 0, MINUS_INFINITY)
    against = functional.embedding(batch.positive_rows, allowed.logsumexp(1).unsqueeze(1)).squeeze(1)
    return functional.softplus(against - positives).sum()
