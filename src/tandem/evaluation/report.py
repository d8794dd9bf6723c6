"""The report: the model's metrics beside its baselines', as JSON, as a table for the log, and in one sentence."""

import math
from collections.abc import Mapping
from typing import Any

from tandem.evaluation import Metrics
from tandem.evaluation.baselines import BaselineResult

Report = dict[str, Any]
"""The content of ``metrics.json``: "model", "baselines" (by name) and "data"."""

LOWER_IS_BETTER = frozenset({"log_loss", "calibration_error"})
MISSING = "–"  # noqa: RUF001

_NAMES = {"ease": "EASE", "als": "ALS"}
_VERDICTS = (
    ("ndcg@", "ranks better"),
    ("auc", "separates positives from negatives better"),
    ("log_loss", "predicts better"),
)
_ROWS = (
    *("dataset", "source", "seed", "feature_spec_fingerprint"),
    *("train_rows", "test_rows", "test_positives", "best_auc"),
)
_TRADED = frozenset({"precision", "recall"})
_MARK = "*"


def build_report(
    model: Metrics,
    classification: Mapping[str, Metrics],
    ranking: Mapping[str, BaselineResult],
    data: Mapping[str, Any],
) -> Report:
    """Assemble the content of ``metrics.json``.

    Args:
        model: all metrics of the model.
        classification: classification metrics of the baselines that predict probabilities, by baseline.
        ranking: results of the baselines that rank, by baseline; joined with the former where both are there.
        data: what the rows are (counts and the like); ``baseline_settings`` is added to it: what each ranking
            baseline ran with. (Its seconds are in ``baselines.json``: the same run gives the same report.)

    Raises:
        ValueError: a metric is NaN or infinite, which JSON has no word for.
    """
    names = dict.fromkeys((*classification, *ranking))
    joined = {
        name: dict(classification.get(name, {})) | (ranking[name].metrics if name in ranking else {}) for name in names
    }
    settings = {name: result.settings for name, result in ranking.items()}
    return {
        "model": _finite("model", model),
        "baselines": {name: _finite(name, metrics) for name, metrics in joined.items()},
        "data": dict(data) | {"baseline_settings": settings},
    }


def display_name(baseline: str) -> str:
    """A baseline's name as a person writes it: "EASE", "ALS", "popularity"."""
    return _NAMES.get(baseline, baseline)


def of_same_rows(report: Report, other: Report) -> bool:
    """Whether two reports are of models trained and tested on the same rows, as far as their ``data`` tell."""
    theirs = other.get("data", {})
    return all(report["data"].get(name) == theirs.get(name) for name in _ROWS)


def table(report: Report, model_name: str, others: Mapping[str, Metrics] | None = None) -> str:
    """The report as plain text: metrics as rows, model and baselines as columns, the best of each row starred.

    others: metrics of other models on the same rows, by name; their columns stand behind the model's.

    Coverage, and precision and recall at a threshold, have no best: alone each is to be had for nothing, recall by
    calling every row positive.
    """
    columns: dict[str, Metrics] = {model_name: report["model"], **(others or {})} | {
        display_name(name): metrics for name, metrics in report["baselines"].items()
    }
    metrics = list(dict.fromkeys(name for column in columns.values() for name in column))
    first = max(map(len, ["metric", *metrics]))
    widths = {name: max(len(name), 8) + 2 for name in columns}
    lines = ["metric".ljust(first) + "".join(f"{name} ".rjust(width) for name, width in widths.items())]
    for metric in metrics:
        row = {name: column.get(metric) for name, column in columns.items()}
        best = _best(metric, row)
        cells = (_cell(value, value is not None and value == best).rjust(widths[name]) for name, value in row.items())
        lines.append(metric.ljust(first) + "".join(cells))
    return "\n".join(line.rstrip() for line in lines)


def verdict(report: Report, model_name: str) -> str:
    """One line: which baselines beat the model, or that none does.

    Compared are NDCG (full and sampled), AUC and log loss, where both sides have them, at four decimals.
    """
    beaten = [clause for metric, word in _compared(report) if (clause := _beaten(report, metric, word, model_name))]
    if beaten:
        return "; ".join(beaten)
    compared = [metric for metric, _ in _compared(report)]
    if not compared:
        return f"{model_name} was compared with no baseline"
    return f"No baseline beats {model_name} in {', '.join(compared)}"


def _compared(report: Report) -> list[tuple[str, str]]:
    """(metric, what being better in it means) for those that the model and a baseline have."""
    rivals = report["baselines"].values()
    return [
        (metric, word)
        for start, word in _VERDICTS
        for metric, value in report["model"].items()
        if metric.startswith(start) and value is not None and any(rival.get(metric) is not None for rival in rivals)
    ]


def _beaten(report: Report, metric: str, word: str, model_name: str) -> str | None:
    """The sentence on the best baseline in one metric, if it beats the model."""
    rivals = {name: metrics.get(metric) for name, metrics in report["baselines"].items()}
    best, value = _best(metric, rivals), report["model"][metric]
    if best is None or round(best, 4) == round(value, 4) or _best(metric, {"rival": best, "model": value}) == value:
        return None
    name = next(name for name, rival in rivals.items() if rival == best)
    return f"{display_name(name)} {word} than {model_name}: {metric} {best:.4f} against {value:.4f}"


def _best(metric: str, values: Mapping[str, float | None]) -> float | None:
    present = [value for value in values.values() if value is not None]
    if not present or metric.startswith("coverage@") or metric in _TRADED:
        return None
    return min(present) if metric in LOWER_IS_BETTER else max(present)


def _cell(value: float | None, best: bool) -> str:
    return f"{MISSING} " if value is None else f"{value:.4f}{_MARK if best else ' '}"


def _finite(name: str, metrics: Metrics) -> Metrics:
    """The metrics as plain Python numbers."""
    for metric, value in metrics.items():
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name}: {metric} is {value}")
    return {metric: None if value is None else float(value) for metric, value in metrics.items()}
