import subprocess
import sys

import numpy as np
import pytest
import torch

from tandem.errors import UserError
from tandem.models.ncf.network import (
    Calibration,
    NeuMF,
    NeuMFConfig,
    SideSizes,
    SideTable,
    is_mlp_parameter,
    load_ncf,
    save_ncf,
)
from tandem.models.ncf.scorer import SCORER_FILE, load_scorer
from tandem.parameters import NeuMFParameters

USERS = SideSizes(num_ids=6, categorical={"gender": 3, "zip_code": 4}, numeric=("age",))
ITEMS = SideSizes(num_ids=9, bags={"genres": 5})
SMALL = NeuMFParameters(gmf_dim=3, mlp_dim=4, hidden_units=(5, 2), side_dim=2, dropout=0.5)
PLAIN_SUM = SMALL.model_copy(update={"weighted_gmf": False})


def tables() -> tuple[SideTable, SideTable]:
    rng = np.random.default_rng(0)
    bags = rng.random((9, 5), dtype=np.float32)
    users = SideTable(
        categorical={"gender": rng.integers(0, 3, 6), "zip_code": rng.integers(0, 4, 6)},
        numeric={"age": rng.random(6, dtype=np.float32)},
    )
    return users, SideTable(bags={"genres": bags / bags.sum(1, keepdims=True)})


def neumf(parameters: NeuMFParameters = SMALL) -> NeuMF:
    torch.manual_seed(0)
    model = NeuMF(NeuMFConfig(parameters=parameters, users=USERS, items=ITEMS))
    model.fill(*tables())
    for weights in model.parameters():
        torch.nn.init.normal_(weights, std=0.5)
    return model.eval()


def logit_by_the_paper(model: NeuMF, user: int, item: int) -> float:
    """Equations 8 to 11 of He et al. 2017 for one pair, with the first layer applied to the concatenated input."""
    sides = []
    for side, index in ((model.users, user), (model.items, item)):
        parts = [side.mlp.weight[index]]
        parts += [layer.weight[side.codes[index, column]] for column, layer in enumerate(side.categorical.values())]
        parts += [layer.weight @ side.get_buffer(f"bag_{name}")[index] for name, layer in side.bags.items()]
        sides.append(torch.cat([*parts, side.numbers[index]]))
    weight = torch.cat([model.users.first_layer.weight, model.items.first_layer.weight], 1)
    hidden = torch.relu(weight @ torch.cat(sides) + model.users.first_layer.bias)
    for layer in model.hidden:
        hidden = torch.relu(layer(hidden))
    product = model.users.gmf.weight[user] * model.items.gmf.weight[item]
    if not model.config.parameters.weighted_gmf:
        return (product.sum() + model.output(hidden)).item()
    return model.output(torch.cat([product, hidden])).item()


@pytest.mark.parametrize("parameters", [SMALL, PLAIN_SUM])
def test_the_logit_is_that_of_the_paper(parameters):
    model = neumf(parameters)
    users, items = torch.tensor([0, 1, 5, 3]), torch.tensor([8, 0, 2, 2])
    expected = [logit_by_the_paper(model, int(u), int(i)) for u, i in zip(users, items, strict=True)]
    np.testing.assert_allclose(model(users, items).detach(), expected, rtol=1e-5)


@pytest.mark.parametrize("parameters", [SMALL, PLAIN_SUM])
def test_several_items_per_user_score_like_pairs(parameters):
    model = neumf(parameters)
    users, items = torch.tensor([1, 4]), torch.tensor([[1, 2, 3], [8, 0, 2]])
    pairs = model(users.repeat_interleave(3), items.reshape(-1)).view(2, 3)
    torch.testing.assert_close(model(users, items), pairs)


@pytest.mark.parametrize("max_cells", [1, 200, 10_000])
def test_all_items_at_once_score_like_pairs_in_blocks_of_any_size(max_cells):
    model = neumf()
    users = torch.tensor([3, 1, 2])
    expected = torch.stack([model(torch.full((9,), int(user)), torch.arange(9)) for user in users])
    torch.testing.assert_close(model.score_all(users, max_cells=max_cells), expected.detach())


def test_a_plain_sum_has_no_gmf_weights_to_train():
    model = NeuMF(NeuMFConfig(parameters=PLAIN_SUM, users=USERS, items=ITEMS)).eval()
    assert model.output.in_features == SMALL.hidden_units[-1]
    torch.nn.init.zeros_(model.output.weight)
    expected = (model.users.gmf.weight[2] * model.items.gmf.weight[4]).sum() + model.output.bias[0]
    torch.testing.assert_close(model(torch.tensor([2]), torch.tensor([4]))[0], expected)


def test_few_ids_of_a_large_table_are_computed_alone_and_the_same():
    model = neumf()
    for side, ids in ((model.users, torch.tensor([2])), (model.items, torch.tensor([[7]]))):
        for alone, among_all in zip(side(ids), side.all(), strict=True):
            torch.testing.assert_close(alone, among_all[ids])


def test_side_features_are_registered_trained_and_saved():
    """Defect N1 of the system this replaces: its side embeddings were neither trained nor saved."""
    model = neumf().train()
    names = {"users.categorical.gender.weight", "users.categorical.zip_code.weight", "items.bags.genres.weight"}
    assert names <= dict(model.named_parameters()).keys()
    assert names <= model.state_dict().keys()
    model(torch.arange(6), torch.arange(6)).sum().backward()
    for name in names:
        assert model.get_parameter(name).grad.abs().sum() > 0


def test_side_features_change_the_score():
    model = neumf()
    before = model(torch.tensor([1]), torch.tensor([1])).item()
    model.users.codes[1, 0] = (model.users.codes[1, 0] + 1) % 3
    assert model(torch.tensor([1]), torch.tensor([1])).item() != before


def test_without_side_features():
    model = neumf(SMALL.model_copy(update={"side_dim": 0}))
    assert model.users.first_layer.in_features == 4
    assert model(torch.tensor([1]), torch.tensor([1])).shape == (1,)


def test_the_number_of_parameters_at_the_reference_sizes():
    """By hand: embeddings 944*(16+64) + 1683*(16+64) + 8*(3+22+796+20), first layer 64*161+64, then 64-32-16-1."""
    users = SideSizes(num_ids=944, categorical={"gender": 3, "occupation": 22, "zip_code": 796}, numeric=("age",))
    model = NeuMF(NeuMFConfig(parameters=NeuMFParameters(), users=users, items=SideSizes(num_ids=1683, bags={"g": 20})))
    embeddings = 944 * 80 + 1683 * 80 + 8 * (3 + 22 + 796 + 20)
    layers = 64 * 161 + 64 + 64 * 32 + 32 + 32 * 16 + 16 + 32 + 1
    assert sum(weights.numel() for weights in model.parameters()) == embeddings + layers


def test_a_saved_model_scores_the_same_and_keeps_its_calibration(tmp_path):
    model = neumf()
    save_ncf(model, tmp_path, calibration=Calibration(scale=2.0, offset=-1.0))
    loaded = load_ncf(tmp_path)
    users, items = torch.arange(6), torch.arange(6)
    logits = model(users, items)
    assert torch.equal(loaded(users, items), logits)
    torch.testing.assert_close(loaded.probability(logits), torch.sigmoid(2.0 * logits - 1.0))


def test_a_missing_or_foreign_model_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"config\.json is missing: train a model first"):
        load_ncf(tmp_path)
    (tmp_path / "config.json").write_text('{"format_version": 99}')
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(UserError, match="has format_version 99, expected 1"):
        load_ncf(tmp_path)


@pytest.mark.parametrize("parameters", [SMALL, PLAIN_SUM, SMALL.model_copy(update={"hidden_units": (5,)})])
def test_the_scorer_without_pytorch_gives_the_same_scores(tmp_path, parameters):
    model = neumf(parameters).train()
    save_ncf(model, tmp_path, calibration=Calibration(scale=2.0, offset=-1.0))
    assert model.training  # saving in the middle of a training changes nothing
    model.eval()
    scorer = load_scorer(tmp_path)
    users, items = np.repeat(np.arange(6), 9), np.tile(np.arange(9), 6)
    logits = model(torch.from_numpy(users), torch.from_numpy(items)).detach()
    np.testing.assert_allclose(scorer.score_pairs(users, items), logits, atol=1e-5)
    np.testing.assert_allclose(scorer.score_all(np.arange(6)), logits.view(6, 9), atol=1e-5)
    np.testing.assert_allclose(scorer.probability(logits.numpy()), torch.sigmoid(2.0 * logits - 1.0), atol=1e-6)


def test_the_scorer_imports_no_pytorch():
    check = "import sys, tandem.scoring.ncf; sys.exit('torch' in sys.modules or 'kedro' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_model_without_its_scorer_is_one_line(tmp_path):
    save_ncf(neumf(), tmp_path)
    (tmp_path / SCORER_FILE).unlink()
    with pytest.raises(UserError, match=r"scorer\.safetensors is missing: train a model first"):
        load_scorer(tmp_path)


def test_features_may_be_called_what_pytorch_calls_its_own() -> None:
    """Names of ModuleDict's methods, and those that tell the MLP's parameters from GMF's."""
    names = ("type", "items", "keys", "training", "gmf", "feature_gmf", "output")
    sizes = SideSizes(
        num_ids=3, categorical=dict.fromkeys(names, 4), bags={"values": 2, "pop": 3}, numeric=("forward",)
    )
    model = NeuMF(NeuMFConfig(parameters=NeuMFParameters(hidden_units=(4,)), users=sizes, items=SideSizes(num_ids=2)))
    table = SideTable(
        categorical={name: np.full(3, place % 4) for place, name in enumerate(names)},
        bags={"values": np.ones((3, 2), np.float32), "pop": np.zeros((3, 3), np.float32)},
        numeric={"forward": np.ones(3, np.float32)},
    )
    model.fill(table, SideTable())
    assert model.users.codes[1].tolist() == [place % 4 for place in range(len(names))]
    assert torch.isfinite(model(torch.tensor([1]), torch.tensor([1]))).all()
    assert all(is_mlp_parameter(name) for name, _ in model.named_parameters() if "categorical" in name)
