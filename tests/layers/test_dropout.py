import numpy as np
import pytest
import torch

from tandem.layers.dropout import random_bytes, relu_dropout


def test_evaluation_is_relu_alone():
    inputs = torch.randn(50, 7)
    assert torch.equal(relu_dropout(inputs, 0.5, training=False), torch.relu(inputs))
    assert torch.equal(relu_dropout(inputs, 0.0, training=True), torch.relu(inputs))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropped_and_kept_values_keep_the_expectation(rate):
    torch.manual_seed(0)
    outputs = relu_dropout(torch.ones(1000, 500), rate, training=True)
    assert (outputs == 0).float().mean().item() == pytest.approx(rate, abs=0.004)
    assert outputs.mean().item() == pytest.approx(1.0, abs=0.01)


def test_gradients_flow_where_values_were_kept():
    torch.manual_seed(0)
    inputs = torch.randn(40, 30, requires_grad=True)
    outputs = relu_dropout(inputs, 0.5, training=True)
    outputs.sum().backward()
    kept = (outputs > 0).float()
    torch.testing.assert_close(inputs.grad, kept * 2.0)


def test_a_rate_next_to_one_leaves_some():
    torch.manual_seed(0)
    outputs = relu_dropout(torch.ones(100, 100), 0.999, training=True)
    assert set(outputs.unique().tolist()) == {0.0, 256.0}


def test_masks_follow_the_seed():
    torch.manual_seed(3)
    first = random_bytes(torch.Size([5, 13]))
    torch.manual_seed(3)
    assert np.array_equal(random_bytes(torch.Size([5, 13])), first)
    assert not np.array_equal(random_bytes(torch.Size([5, 13])), first)
    assert first.shape == (5, 13)
    assert first.dtype == np.uint8


def test_bytes_are_uniform():
    torch.manual_seed(0)
    counts = np.bincount(random_bytes(torch.Size([256 * 1000])), minlength=256)
    chi_square = ((counts - 1000) ** 2 / 1000).sum().item()
    assert chi_square < 340  # 255 degrees of freedom: 0.0003 of all seeds are above
