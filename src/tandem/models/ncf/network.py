"""NeuMF, the neural matrix factorisation of He et al. 2017 (arXiv 1708.05031, section 3.4), in PyTorch.

A generalised matrix factorisation (GMF) and a multi-layer perceptron (MLP), each with its own embeddings, meet in one
linear output. Side features of users and items enter the MLP.

The first MLP layer is linear, so it is the sum of a part that depends on the user alone and one that depends on the
item alone. Each is computed once per id and gathered per row, which is what makes training fast; dropout therefore
acts behind the layer and not on its input.

Shapes in names: ``U``/``I`` users/items including id 0 (unknown), ``B`` rows, ``K`` items per row, ``G`` GMF width,
``H`` width of the first MLP layer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tandem.artifacts import Calibration, check_is_file, read_config, write_config
from tandem.layers.dropout import dropout, relu_dropout
from tandem.layers.gather import gather
from tandem.models.ncf.config import NeuMFConfig, SideSizes
from tandem.models.ncf.scorer import SCORER_FILE
from tandem.parameters import NeuMFParameters

__all__ = [
    "Calibration",
    "NeuMF",
    "NeuMFConfig",
    "Side",
    "SideSizes",
    "SideTable",
    "is_mlp_parameter",
    "load_ncf",
    "save_ncf",
]


@dataclass(frozen=True)
class SideTable:
    """The side features of every id; row 0 is the unknown id and all zero.

    categorical: name -> int array [num_ids]; bags: name -> list of ids per row, as a float array [num_ids, size] whose
    rows sum to 1 (or 0 when empty); numeric: name -> float array [num_ids].
    """

    categorical: Mapping[str, npt.NDArray[np.int64]] = field(default_factory=dict)
    bags: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)
    numeric: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


class SideRows(NamedTuple):
    """What a side brings to a pair: its GMF embedding [..., G], and its half of the first MLP layer [..., H]; float."""

    gmf: Tensor
    half: Tensor

    def of(self, rows: Tensor) -> "SideRows":
        """Some of the rows, by number, int of any shape [...]."""
        return SideRows(gather(self.gmf, rows), gather(self.half, rows))

    def unsqueeze(self, dim: int) -> "SideRows":
        """With a dimension of 1 at ``dim``."""
        return SideRows(self.gmf.unsqueeze(dim), self.half.unsqueeze(dim))


class Side(nn.Module):
    """One side (users or items): embeddings, side features, and its half of the first MLP layer."""

    codes: Tensor
    numbers: Tensor

    def __init__(self, sizes: SideSizes, parameters: NeuMFParameters, *, bias: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.dropout = parameters.embedding_dropout
        self.gmf = nn.Embedding(sizes.num_ids, parameters.gmf_dim)
        self.mlp = nn.Embedding(sizes.num_ids, parameters.mlp_dim)
        side_dim = parameters.side_dim
        self.features = sizes if side_dim > 0 else SideSizes(num_ids=sizes.num_ids)
        categorical, bags = self.features.categorical, self.features.bags
        self.num_numeric = len(self.features.numeric)
        self.categorical = nn.ModuleDict(
            {_module_name(name): nn.Embedding(size, side_dim) for name, size in categorical.items()}
        )
        self.bags = nn.ModuleDict(
            {_module_name(name): nn.Linear(size, side_dim, bias=False) for name, size in bags.items()}
        )
        width = parameters.mlp_dim + side_dim * (len(categorical) + len(bags)) + self.num_numeric
        self.first_layer = nn.Linear(width, parameters.hidden_units[0], bias=bias)
        self.register_buffer("codes", torch.zeros(sizes.num_ids, len(categorical), dtype=torch.int64))
        self.register_buffer("numbers", torch.zeros(sizes.num_ids, self.num_numeric))
        for name, size in bags.items():
            self.register_buffer(f"bag_{name}", torch.zeros(sizes.num_ids, size))

    def fill(self, table: SideTable) -> None:
        """Set the side features; the names and sizes must be those that the side was built with."""
        for column, name in enumerate(self.features.categorical):
            self.codes[:, column] = torch.from_numpy(table.categorical[name])
        for name in self.features.bags:
            self.get_buffer(f"bag_{name}").copy_(torch.from_numpy(table.bags[name]))
        for column in range(self.num_numeric):
            self.numbers[:, column] = torch.from_numpy(table.numeric[self.features.numeric[column]])

    def forward(self, ids_B: Tensor) -> SideRows:
        """GMF embedding, and half of the first MLP layer, of each id."""
        if ids_B.numel() * 2 >= self.sizes.num_ids:
            return self.all().of(ids_B)
        gmf, first = self._rows(ids_B.reshape(-1))
        return SideRows(gmf.view(*ids_B.shape, -1), first.view(*ids_B.shape, -1))

    def all(self) -> SideRows:
        """The same for every id."""
        return self._rows(None)

    def _rows(self, ids_B: Tensor | None) -> SideRows:
        def pick(table: Tensor) -> Tensor:
            return table if ids_B is None else gather(table, ids_B)

        parts = [pick(self.mlp.weight)]
        if len(self.categorical):
            codes = self.codes if ids_B is None else self.codes[ids_B]
            tables = (layer.get_parameter("weight") for layer in self.categorical.values())
            parts += [gather(table, codes[:, column]) for column, table in enumerate(tables)]
        for name, layer in zip(self.features.bags, self.bags.values(), strict=True):
            bag = self.get_buffer(f"bag_{name}")
            parts.append(layer(bag if ids_B is None else bag[ids_B]))
        if self.num_numeric:
            parts.append(self.numbers if ids_B is None else self.numbers[ids_B])
        gmf, mlp = (self._drop(values) for values in (pick(self.gmf.weight), torch.cat(parts, 1)))
        return SideRows(gmf, self.first_layer(mlp))

    def _drop(self, values: Tensor) -> Tensor:
        """Dropout of embeddings: one mask per id and step, the same for all rows of that id where it can be."""
        return dropout(values, self.dropout, training=self.training)


def _module_name(name: str) -> str:
    """A feature's name as that of a module, of which PyTorch has words of its own: ``type``, ``items``, ``keys``."""
    taken = hasattr(nn.ModuleDict, name) or name in ("training", "gmf")
    return f"feature_{name}" if taken or name.startswith("feature_") else name


class NeuMF(nn.Module):
    """NeuMF: ``model(users, items)`` gives one logit a pair; ``sigmoid`` of it is the probability.

    >>> config = NeuMFConfig(
    ...     parameters=NeuMFParameters(), users=SideSizes(num_ids=3), items=SideSizes(num_ids=5)
    ... )
    >>> NeuMF(config)(torch.tensor([1, 2]), torch.tensor([4, 3])).shape
    torch.Size([2])
    """

    def __init__(self, config: NeuMFConfig) -> None:
        super().__init__()
        self.config = config
        parameters = config.parameters
        self.gmf_dim = parameters.gmf_dim
        self.dropout = parameters.dropout
        self.users = Side(config.users, parameters, bias=True)
        self.items = Side(config.items, parameters, bias=False)
        units = parameters.hidden_units
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(units))
        self.num_gmf_weights = parameters.gmf_dim if parameters.weighted_gmf else 0
        self.output = nn.Linear(self.num_gmf_weights + units[-1], 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Embeddings normal, linear layers Xavier uniform, biases zero; GMF starts as plain matrix factorisation."""
        for module in self.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight, std=self.config.parameters.embedding_init_std)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        nn.init.ones_(self._output_weights()[0])

    def fill(self, users: SideTable, items: SideTable) -> None:
        """Set the side features of every user and item."""
        self.users.fill(users)
        self.items.fill(items)

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """Logits of (user, item) pairs.

        users: ids [B]; items: ids [B] or [B, K] (K items for each user). Returns float logits of the items' shape.
        """
        user_rows, item_rows = self.users(users), self.items(items)
        if items.dim() > users.dim():
            user_rows = user_rows.unsqueeze(1)
        return self._pairs(user_rows, item_rows)

    def forward_shared(
        self, users: Tensor, negatives: Tensor, positive_rows: Tensor, positive_items: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of each user's positives, and of negatives that all users of the batch share.

        users: ids [B]; negatives: item ids [K]; positive_rows: index into users [P]; positive_items: item ids [P].
        Returns float [P] and [B, K].
        """
        user_rows = self.users(users)
        item_rows = self.items(torch.cat([negatives, positive_items]))
        sizes = [len(negatives), len(positive_items)]
        negative_rows, positive_item_rows = map(SideRows, *(torch.split(part, sizes) for part in item_rows))
        positives = self._pairs(user_rows.of(positive_rows), positive_item_rows)
        return positives, self._cross(user_rows, negative_rows)

    def probability(self, logits: Tensor) -> Tensor:
        """Calibrated probabilities: ``sigmoid(scale * logit + offset)`` with what was fitted on held-out rows."""
        return torch.sigmoid(self.config.calibration.scale * logits + self.config.calibration.offset)

    @torch.no_grad()
    def score_all(self, users: Tensor, item_rows: SideRows | None = None, *, max_cells: int = 4_000_000) -> Tensor:
        """Logits [B, I] of every item (id 0 included) for each user, in blocks of bounded memory.

        item_rows: ``model.items.all()``, when the caller has it already. max_cells: floats of one block's widest
        intermediate, which bounds the memory.
        """
        item_rows = self.items.all() if item_rows is None else item_rows
        num_items, width = item_rows.half.shape
        block = max(1, max_cells // (num_items * (self.gmf_dim + width)))
        gmf, half = self.users(users)
        scores = torch.empty(len(users), num_items)
        for start in range(0, len(users), block):
            part = slice(start, start + block)
            scores[part] = self._cross(SideRows(gmf[part], half[part]), item_rows)
        return scores

    def _pairs(self, users: SideRows, items: SideRows) -> Tensor:
        """Rows [...] of users and items, broadcast against each other, to logits [...]."""
        (user_gmf, user_half), (item_gmf, item_half) = users, items
        user_gmf = self._weigh(user_gmf)
        if user_gmf.shape == item_gmf.shape:
            gmf = (user_gmf * item_gmf).sum(-1)
        else:  # the product of each pair would be one more tensor of the widest shape
            gmf = (item_gmf @ user_gmf.transpose(-1, -2)).squeeze(-1)
        return gmf + self._mlp(user_half + item_half)

    def _cross(self, users: SideRows, items: SideRows) -> Tensor:
        """Rows [B] of users and [K] of items to the logits of all pairs [B, K]."""
        (user_gmf, user_half), (item_gmf, item_half) = users, items
        return self._weigh(user_gmf) @ item_gmf.T + self._mlp(user_half.unsqueeze(1) + item_half)

    def _weigh(self, user_gmf: Tensor) -> Tensor:
        """The output's weights, where there are any, applied to the users' GMF rows [..., G]."""
        weight_gmf, _ = self._output_weights()
        return user_gmf * weight_gmf if len(weight_gmf) else user_gmf

    def _mlp(self, first_layer: Tensor) -> Tensor:
        """What the MLP adds to the logit: [..., H] to [...]."""
        hidden = relu_dropout(first_layer, self.dropout, training=self.training)
        for layer in self.hidden:
            hidden = relu_dropout(layer(hidden), self.dropout, training=self.training)
        _, weight_mlp = self._output_weights()
        return torch.add(hidden @ weight_mlp, self.output.bias)

    def _output_weights(self) -> tuple[Tensor, Tensor]:
        weights = self.output.weight[0]
        gmf, mlp = torch.split(weights, [self.num_gmf_weights, len(weights) - self.num_gmf_weights])
        return gmf, mlp


def is_mlp_parameter(name: str) -> bool:
    """Whether a parameter of this name belongs to the MLP part, side features included; the others are GMF's."""
    return ".gmf." not in name and not name.startswith("output.")


def save_ncf(model: NeuMF, folder: Path, *, calibration: Calibration | None = None) -> None:
    """Write ``model.safetensors``, ``config.json`` with the calibration given, and what a
    :class:`tandem.models.ncf.scorer.NeuMFScorer` reads, into an existing folder.
    """
    state = {name: tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    save_file(state, folder / "model.safetensors")
    save_file(_scorer_tensors(model), folder / SCORER_FILE)
    config = model.config.model_copy(update={} if calibration is None else {"calibration": calibration})
    write_config(config, folder)


def _scorer_tensors(model: NeuMF) -> dict[str, Tensor]:
    """The rows of every id, side features and first layer included, and the layers that follow."""
    training = model.training
    model.eval()
    with torch.no_grad():
        tensors: dict[str, Tensor] = {
            name: torch.cat(side.all(), 1) for name, side in (("users", model.users), ("items", model.items))
        }
    model.train(training)
    plain_sum = torch.ones(model.gmf_dim - model.num_gmf_weights)
    tensors |= {"output": torch.cat([plain_sum, model.output.weight[0]]), "bias": model.output.bias}
    for name, tensor in model.hidden.named_parameters():
        tensors[f"hidden.{name}"] = tensor
    return {name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}


def load_ncf(folder: Path) -> NeuMF:
    """Read what :func:`save_ncf` wrote, ready to score (``eval`` mode).

    Raises UserError where a file is missing or is not of this format.
    """
    config = read_config(folder, NeuMFConfig)
    check_is_file(folder / "model.safetensors", config.tag)
    model = NeuMF(config)
    model.load_state_dict(load_file(folder / "model.safetensors"))
    return model.eval()
