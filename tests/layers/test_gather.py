import pytest
import torch

from tandem.layers.gather import gather


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (0,)])
def test_rows_and_gradients_are_those_of_an_embedding(shape: tuple[int, ...], kind: torch.dtype) -> None:
    torch.manual_seed(0)
    ids = torch.randint(0, 6, shape, dtype=kind)
    weights = torch.randn(*shape, 3)
    look_ups = (gather, lambda table, ids: torch.nn.functional.embedding(ids, table))
    tables = [torch.nn.Parameter(torch.arange(18.0).view(6, 3)) for _ in range(2)]
    for table, look_up in zip(tables, look_ups, strict=True):
        (look_up(table, ids) * weights).sum().backward()
    assert torch.equal(gather(tables[0], ids), torch.nn.functional.embedding(ids, tables[1]))
    torch.testing.assert_close(tables[0].grad, tables[1].grad)


def test_an_id_outside_of_the_table_is_refused() -> None:
    with pytest.raises(IndexError):
        gather(torch.zeros(3, 2), torch.tensor([3]))
