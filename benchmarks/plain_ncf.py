"""What a user would write: NeuMF with ``torch.nn`` modules, a ``DataLoader`` and the usual loop.

``python -m benchmarks.plain_ncf TRAIN USERS ITEMS THREADS EPOCHS`` prints samples per second of each epoch as JSON.
Sizes are those of conf/reference; side features are concatenated to every row, dropout stands before every layer.
"""

import json
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

BATCH = 10_240
CATEGORICAL = ("gender", "occupation", "zip_code")


class PlainNeuMF(nn.Module):
    """GMF 16, MLP 64-64 to 64-32-16, side embeddings 8."""

    def __init__(self, users: int, items: int, sizes: list[int], genres: int) -> None:
        super().__init__()
        self.user_gmf, self.item_gmf = nn.Embedding(users, 16), nn.Embedding(items, 16)
        self.user_mlp, self.item_mlp = nn.Embedding(users, 64), nn.Embedding(items, 64)
        self.side = nn.ModuleList(nn.Embedding(size, 8) for size in sizes)
        self.genres = nn.Linear(genres, 8, bias=False)
        layers: list[nn.Module] = []
        width = 64 + 64 + 8 * (len(sizes) + 1) + 1
        for units in (64, 32, 16):
            layers += [nn.Dropout(0.5), nn.Linear(width, units), nn.ReLU()]
            width = units
        self.mlp = nn.Sequential(*layers)
        self.output = nn.Linear(16 + 16, 1)

    def forward(self, user: Tensor, item: Tensor, codes: Tensor, age: Tensor, genres: Tensor) -> Tensor:
        """Logits [B] of rows with codes [B, 3], age [B, 1] and genres [B, genres]."""
        side = [embedding(codes[:, column]) for column, embedding in enumerate(self.side)]
        inputs = [self.user_mlp(user), self.item_mlp(item), *side, self.genres(genres), age]
        product = self.user_gmf(user) * self.item_gmf(item)
        return self.output(torch.cat([product, self.mlp(torch.cat(inputs, 1))], 1)).view(-1)


def tensors(folder: Path) -> tuple[Tensor, ...]:
    """The processed training rows as one tensor per input."""
    table = pq.read_table(folder)
    columns = {name: torch.from_numpy(table.column(name).to_numpy().copy()) for name in ("user", "item", *CATEGORICAL)}
    lists = table.column("genres").to_pylist()
    genres = torch.zeros(len(lists), 1 + max(max(ids, default=0) for ids in lists))
    for row, ids in enumerate(lists):
        genres[row, ids] = 1.0
    codes = torch.stack([columns[name].long() for name in CATEGORICAL], 1)
    age = torch.from_numpy(table.column("age").to_numpy().copy()).float().unsqueeze(1)
    label = torch.from_numpy(table.column("label").to_numpy().copy()).float()
    return columns["user"].long(), columns["item"].long(), codes, age, genres, label


def main() -> None:
    """Train and print the speed of every epoch."""
    folder, users, items, threads, epochs = Path(sys.argv[1]), *map(int, sys.argv[2:6])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    data = tensors(folder)
    model = PlainNeuMF(users, items, [int(data[2][:, column].max()) + 1 for column in range(3)], data[4].shape[1])
    loader = DataLoader(TensorDataset(*data), batch_size=BATCH, shuffle=True)
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=0.01), nn.BCEWithLogitsLoss()
    speeds = []
    for _ in range(epochs):
        started = time.perf_counter()
        for *inputs, label in loader:
            optimizer.zero_grad()
            loss(model(*inputs), label).backward()
            optimizer.step()
        speeds.append(len(data[0]) / (time.perf_counter() - started))
    print(json.dumps(speeds))


if __name__ == "__main__":
    main()
