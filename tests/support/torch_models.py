"""Small PyTorch models in the place of a click model, as a user would build them, for tests."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn


class Small(nn.Module):
    """Embeddings, numbers and a hidden layer with batch normalisation."""

    def __init__(self, sizes: Mapping[str, int], continuous: Sequence[str], width: int, sparse: bool, dropout: float):
        super().__init__()
        self.names = tuple(continuous)
        self.tables = nn.ModuleDict({name: nn.Embedding(size, width, sparse=sparse) for name, size in sizes.items()})
        inputs = width * len(sizes) + len(self.names)
        layers = [nn.Linear(inputs, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, 1)]
        self.deep = nn.Sequential(*layers)

    def forward(self, columns: Mapping[str, Tensor]) -> Tensor:
        rows = [table(columns[name]) for name, table in self.tables.items()]
        logits: Tensor = self.deep(torch.cat([*rows, *(columns[name].unsqueeze(1) for name in self.names)], 1))
        return logits


class Plain(Small):
    """The same without batch normalisation: nothing in it depends on how rows are shared out."""

    def __init__(self, sizes: Mapping[str, int], continuous: Sequence[str], width: int, sparse: bool):
        super().__init__(sizes, continuous, width, sparse, dropout=0.0)
        self.deep = nn.Sequential(nn.Linear(width * len(sizes) + len(self.names), 16), nn.ReLU(), nn.Linear(16, 1))


def build_small(
    sizes: dict[str, int], continuous: tuple[str, ...], width: int = 4, sparse: bool = False, dropout: float = 0.1
) -> nn.Module:
    return Small(sizes, continuous, width, sparse, dropout)


def build_plain(sizes: dict[str, int], continuous: tuple[str, ...], width: int = 4, sparse: bool = False) -> nn.Module:
    return Plain(sizes, continuous, width, sparse)


def build_nothing(sizes: dict[str, int], continuous: tuple[str, ...]) -> str:
    return "no model"


def build_wrong_shape(sizes: dict[str, int], continuous: tuple[str, ...]) -> nn.Module:
    model = Small(sizes, continuous, 4, sparse=False, dropout=0.0)
    model.deep[-1] = nn.Linear(16, 3)
    return model


def build_doubles(sizes: dict[str, int], continuous: tuple[str, ...]) -> nn.Module:
    model = Small(sizes, continuous, 4, sparse=False, dropout=0.0)
    model.spare = nn.Parameter(torch.zeros(2, dtype=torch.float64))
    return model
