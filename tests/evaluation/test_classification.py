"""Classification metrics: scikit-learn agrees, parts add up, and what is no probability is refused."""

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from tandem.errors import UserError
from tandem.evaluation.classification import CLIP, ClassificationSums, classification_metrics, constant_predictor


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("decimals", [1, 2, 12], ids=["many ties", "some ties", "no ties"])
def test_agrees_with_scikit_learn(seed: int, decimals: int) -> None:
    rng = np.random.default_rng(seed)
    p = np.round(rng.beta(1, 2, 500), decimals)
    y = (rng.random(500) < 0.2 + 0.5 * p).astype(int)
    found = classification_metrics(y, p)
    predicted = p >= 0.5
    expected = {
        "accuracy": sk.accuracy_score(y, predicted),
        "precision": sk.precision_score(y, predicted),
        "recall": sk.recall_score(y, predicted),
        "auc": sk.roc_auc_score(y, p),
        "average_precision": sk.average_precision_score(y, p),
        "log_loss": sk.log_loss(y, np.clip(p, CLIP, 1 - CLIP)),
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-12)
    own_mean = sk.log_loss(y, np.full(500, y.mean()))
    assert found["rce"] == pytest.approx(100 * (1 - expected["log_loss"] / own_mean))


def test_by_hand() -> None:
    found = classification_metrics([1, 0, 1, 0], [0.9, 0.6, 0.4, 0.1])
    assert found["accuracy"] == found["precision"] == found["recall"] == 0.5
    assert found["auc"] == 0.75  # of four pairs only (0.4, 0.6) is the wrong way round
    assert found["average_precision"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["log_loss"] == pytest.approx(-np.mean(np.log([0.9, 0.4, 0.4, 0.9])))
    assert found["calibration_error"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.1) / 4)


def test_threshold_is_on_probabilities_and_logits_are_refused() -> None:
    """A logit of 0.3 is a probability of 0.57: positive. At 0.5 on the logit it would count as negative (defect N2)."""
    logits = np.array([0.3, -0.3])
    found = classification_metrics([1, 0], 1 / (1 + np.exp(-logits)))
    assert (found["precision"], found["recall"]) == (1.0, 1.0)
    with pytest.raises(UserError, match=r"row 1 is -0.3, not within 0..1.*logits"):
        classification_metrics([1, 0], logits)


def test_exactly_one_half_is_positive() -> None:
    assert classification_metrics([1, 0], [0.5, 0.4999])["accuracy"] == 1.0


@pytest.mark.parametrize("label", [0, 1])
def test_one_class_has_no_ranking_metrics(label: int) -> None:
    found = classification_metrics([label] * 3, [0.2, 0.2, 0.3])
    assert found["auc"] is found["average_precision"] is found["rce"] is None
    assert found["accuracy"] == 1 - label
    assert found["recall"] == (0.0 if label else None)
    assert found["precision"] is None  # nothing was predicted positive


def test_no_rows_have_no_metrics() -> None:
    assert set(classification_metrics([], []).values()) == {None}


def test_certain_and_wrong_is_expensive_but_finite() -> None:
    assert classification_metrics([1, 0], [0.0, 1.0])["log_loss"] == pytest.approx(-np.log(CLIP))
    float32_one = np.float32(1.0) - np.finfo(np.float32).epsneg
    assert classification_metrics([1, 1], np.array([1.0, float32_one], np.float32))["log_loss"] < 2e-7


def test_constant_predictor_says_nothing() -> None:
    y = np.array([1, 0, 0, 0, 0] * 20)
    found = classification_metrics(y, constant_predictor(0.2, len(y)))
    assert found == pytest.approx(
        {"accuracy": 0.8, "precision": None, "recall": 0.0, "auc": 0.5, "average_precision": 0.2}
        | {"log_loss": 0.5004024235, "rce": 0.0, "calibration_error": 0.0},
        abs=1e-9,
    )


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([0, 2], [0.1, 0.2], r"labels: row 1 is 2; each must be 0 or 1"),
        ([0, float("nan")], [0.1, 0.2], r"labels: row 1 is nan"),
        ([0, 1, 1], [0.1, float("nan"), float("inf")], r"2 of 3 are not finite \(first in row 1\).*learning rate"),
        ([0, 1], [0.1, 1.5], r"row 1 is 1.5, not within 0..1"),
    ],
)
def test_bad_rows_are_named(labels: list[float], probabilities: list[float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        classification_metrics(labels, probabilities)


def test_lengths_must_match() -> None:
    with pytest.raises(ValueError, match="2 labels but 1 prob"):
        classification_metrics([0, 1], [0.5])


rows = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1)), min_size=1, max_size=60)


@given(rows, st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_parts_add_up_to_the_whole(pairs: list[tuple[int, float]], parts: int) -> None:
    y, p = np.array(pairs).T
    whole = ClassificationSums.of(y, p)
    added = reduce(add, [ClassificationSums.of(y[part::parts], p[part::parts]) for part in range(parts)])
    assert added.metrics() == pytest.approx(whole.metrics(), abs=1e-9)
    assert ClassificationSums.from_vector(whole.vector()).metrics() == whole.metrics()


@given(rows, st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_order_of_rows_does_not_matter(pairs: list[tuple[int, float]], random: object) -> None:
    shuffled = list(pairs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert classification_metrics(*np.array(shuffled).T) == pytest.approx(
        classification_metrics(*np.array(pairs).T), abs=1e-9
    )


@given(rows)
@settings(max_examples=100, deadline=None)
def test_auc_depends_on_the_order_of_scores_alone(pairs: list[tuple[int, float]]) -> None:
    y, p = np.array(pairs).T
    ranks = np.unique(p, return_inverse=True)[1] / len(p)
    assert classification_metrics(y, ranks)["auc"] == classification_metrics(y, p)["auc"]


def test_calibration_bins_hold_their_edges() -> None:
    sums = ClassificationSums.of([0, 0, 1, 1], [0.0, 0.1, 0.95, 1.0])
    assert sums.bin_rows.tolist() == [1, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert sums.bin_labels.tolist() == [0, 0, 0, 0, 0, 0, 0, 0, 0, 2]
