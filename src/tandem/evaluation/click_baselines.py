"""What a click model is reported beside, on the same rows and the same columns."""

import importlib.util
import logging
import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from tandem.errors import UserError
from tandem.evaluation.baselines import BaselineResult
from tandem.evaluation.classification import classification_metrics, constant_predictor
from tandem.evaluation.logistic import LogisticRegression, indicator_matrix
from tandem.parameters import ClickBaselineParameters

logger = logging.getLogger(__name__)

Rows = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], npt.NDArray[Any]]
"""ids [rows, id columns], numbers [rows, number columns], labels [rows]."""

L2_GRID = (1.0, 10.0, 100.0)
VALIDATION_FRACTION = 0.1


def evaluate_click_baselines(
    train: Rows,
    test: Rows,
    sizes: tuple[int, ...],
    parameters: ClickBaselineParameters,
    *,
    model: str,
    seed: int = 0,
) -> dict[str, BaselineResult]:
    """Fit on the training rows, predict the test rows.

    ``constant`` (the share of positives) is always there. Where all training labels are equal it stands for the others.

    Args:
        train: training rows.
        test: test rows, with the same columns.
        sizes: number of ids of each id column, 0 included.
        parameters: which baselines, with which settings.
        model: whose block of parameters asks for them, for messages.
        seed: of the rows that settings are chosen on.

    Raises:
        UserError: the library of a baseline is missing.
    """
    if "boosted_trees" in parameters.models and importlib.util.find_spec("sklearn") is None:
        raise UserError(
            f"{model}.baselines.models: boosted_trees needs scikit-learn: pip install scikit-learn, or leave it out"
        )
    share = float(train[2].mean()) if len(train[2]) else 0.0
    constant = constant_predictor(share, len(test[2]))
    results = {"constant": BaselineResult(classification_metrics(test[2], constant), {}, 0.0)}
    for name in parameters.models:
        started = time.perf_counter()
        if share in (0.0, 1.0):
            predicted, settings = constant, dict[str, Any]()
        elif name == "logistic_regression":
            predicted, settings = _logistic(train, test, sizes, seed)
        else:
            predicted, settings = _boosted_trees(train, test, sizes, parameters, seed)
        metrics = classification_metrics(test[2], predicted)
        results[name] = BaselineResult(metrics, settings, time.perf_counter() - started)
        logger.info("Baseline %s: %.1f s, %s", name, results[name].seconds, settings)
    return results


def _logistic(train: Rows, test: Rows, sizes: tuple[int, ...], seed: int) -> tuple[Any, dict[str, Any]]:
    """Logistic regression with the penalty of the grid that predicts held-out training rows best."""
    ids, numbers, labels = train
    features = indicator_matrix(ids, sizes, numbers)
    held_out = np.random.default_rng(seed).random(len(labels)) < VALIDATION_FRACTION
    losses: dict[float, float] = {}
    for l2 in L2_GRID:
        tried = LogisticRegression.fit(features[~held_out], labels[~held_out], l2)
        metrics = classification_metrics(labels[held_out], tried.predict(features[held_out]))
        losses[l2] = metrics["log_loss"] or 0.0
    best = LogisticRegression.fit(features, labels, min(losses, key=lambda l2: losses[l2]))
    return best.predict(indicator_matrix(test[0], sizes, test[1])), {"l2": best.l2}


def _boosted_trees(
    train: Rows, test: Rows, sizes: tuple[int, ...], parameters: ClickBaselineParameters, seed: int
) -> tuple[Any, dict[str, Any]]:
    """Gradient-boosted trees on histograms; ids of few values as categories, others by their frequency's rank."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    settings: Mapping[str, Any] = {
        "max_iter": parameters.trees,
        "max_leaf_nodes": parameters.tree_leaves,
        "learning_rate": parameters.tree_learning_rate,
    }
    few = [place for place, size in enumerate(sizes) if size <= 255]
    model = HistGradientBoostingClassifier(
        **settings, categorical_features=few or None, early_stopping=_can_stop_early(train[2]), random_state=seed
    )
    model.fit(np.concatenate(train[:2], axis=1, dtype=np.float32), train[2])
    predicted = model.predict_proba(np.concatenate(test[:2], axis=1, dtype=np.float32))[:, 1]
    return predicted, {**settings, "trees": int(model.n_iter_)}


def _can_stop_early(labels: npt.NDArray[Any]) -> bool:
    """Whether scikit-learn can hold out a tenth of the rows, which it draws from each class, for stopping early.

    It refuses to where a class has one row, or where the held-out part has fewer rows than there are classes.
    """
    positives = int(np.count_nonzero(labels))
    rarer, held_out = min(positives, len(labels) - positives), math.ceil(VALIDATION_FRACTION * len(labels))
    return rarer >= 2 and held_out >= 2
