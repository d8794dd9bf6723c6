"""Charts: the right data, readable in any theme, and no crash on short or partial runs."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from tandem.evaluation.charts import COLOURS, calibration_curve, comparison, loss_curves
from tandem.evaluation.classification import ClassificationSums

HISTORY = [
    {
        "epoch": 1,
        "train_loss": 0.5,
        "val_ndcg@10": 0.3,
        "learning_rate": 0.001,
        "seconds": 2.0,
        "samples_per_second": 4e5,
    },
    {
        "epoch": 2,
        "train_loss": 0.4,
        "val_ndcg@10": None,
        "learning_rate": 0.001,
        "seconds": 2.0,
        "samples_per_second": 4e5,
    },
    {
        "epoch": 3,
        "train_loss": 0.3,
        "val_ndcg@10": 0.4,
        "learning_rate": 0.001,
        "seconds": 2.0,
        "samples_per_second": 4e5,
    },
]
REPORT = {
    "model": {"ndcg@10": 0.4, "hit_rate@10": 0.9, "ndcg@10_sampled": 0.5, "log_loss": 0.3, "coverage@10": 0.2},
    "baselines": {"constant": {"log_loss": 0.5}, "ease": {"ndcg@10": 0.45, "hit_rate@10": None}},
}


def test_loss_and_validation_metrics_stand_apart() -> None:
    figure = loss_curves(HISTORY)
    assert [(t.name, t.yaxis) for t in figure.data] == [("train loss", "y"), ("validation NDCG@10", "y2")]
    assert list(figure.data[1].x) == [1, 3]  # the missing epoch is no point
    assert (figure.layout.yaxis.title.text, figure.layout.xaxis2.title.text) == ("loss (nats)", "epoch")
    assert "400,000 samples/s" in figure.data[0].customdata[0]


def test_a_refit_is_a_curve_of_its_own() -> None:
    """Its model starts anew: joined to the first one's, the loss would seem to jump."""
    refit = [{"epoch": 4, "phase": "refit", "train_loss": 0.6}, {"epoch": 5, "phase": "refit", "train_loss": 0.5}]
    last = {"epoch": 6, "phase": "publish", "train_loss": 0.6}
    figure = loss_curves([*({"phase": "search"} | record for record in HISTORY), *refit, last])
    curves = {"train loss": [1, 2, 3], "refit loss": [4, 5], "publish loss": [6]}
    assert {t.name: list(t.x) for t in figure.data if t.yaxis == "y"} == curves
    assert "refit loss" in figure.layout.title.text


def test_a_run_of_one_epoch_shows_a_point_on_a_scale_from_zero() -> None:
    figure = loss_curves(HISTORY[:1])
    assert "markers" in figure.data[0].mode
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.xaxis.range == (0.5, 1.5)


@pytest.mark.parametrize("history", [[], [{"epoch": 1, "train_loss": None}]])
def test_an_empty_history_says_so(history: list[dict[str, float]]) -> None:
    assert loss_curves(history).layout.annotations[0].text == "nothing to show"


def test_what_is_published_after_a_refit_is_a_third_curve() -> None:
    phases = ("refit", "refit", "publish", "publish")
    later = [{"epoch": epoch, "train_loss": 0.6, "phase": phase} for epoch, phase in enumerate(phases, 4)]
    losses = {t.name: list(t.x) for t in loss_curves([*HISTORY, *later]).data if t.yaxis == "y"}
    assert losses == {"train loss": [1, 2, 3], "refit loss": [4, 5], "publish loss": [6, 7]}


def test_the_chosen_epoch_is_marked_in_both_plots() -> None:
    marked = loss_curves([record | {"chosen": record["epoch"] == 3} for record in HISTORY])
    assert [(line.x0, line.x1, line.xref) for line in marked.layout.shapes] == [(3, 3, "x"), (3, 3, "x2")]
    assert [note.text for note in marked.layout.annotations] == ["epoch 3 chosen"]
    assert not loss_curves(HISTORY).layout.shapes


def test_curves_of_other_scales_have_an_axis_of_their_own() -> None:
    history = [
        {"epoch": epoch, "train_loss": 6.0 - epoch, "val_log_loss": 0.4, "val_auc": 0.6, "val_recall@100": recall}
        for epoch, recall in ((1, 0.02), (2, 0.03))
    ]
    figure = loss_curves(history)
    sides = {trace.name: figure.layout[trace.yaxis.replace("y", "yaxis")].side for trace in figure.data}
    assert sides == {
        "train loss": None,
        "validation log loss": "right",
        "validation AUC": None,
        "validation recall@100": "right",
    }
    assert figure.layout.yaxis2.title.text == "validation log loss"
    near = loss_curves([record | {"val_log_loss": 2.0, "val_recall@100": 0.3} for record in history])
    assert {trace.yaxis for trace in near.data} == {"y", "y2"}


@pytest.mark.parametrize(("epochs", "mode"), [(40, "lines+markers"), (41, "lines")])
def test_many_points_have_no_markers(epochs: int, mode: str) -> None:
    figure = loss_curves([{"epoch": epoch, "train_loss": 1.0} for epoch in range(1, epochs + 1)])
    assert figure.data[0].mode == mode


def test_a_long_legend_has_lines_that_fit_into_a_small_figure() -> None:
    names = ("val_log_loss", "val_ndcg@10", "val_average_precision", "val_auc")
    figure = loss_curves([{"epoch": 1, "train_loss": 1.0} | dict.fromkeys(names, 0.5)], "NCF training")
    title, *lines = re.sub("<(?!br>).*?>", "", figure.layout.title.text).split("<br>")
    assert title == "NCF training"
    assert [len(line) <= 54 for line in lines] == [True, True]
    assert figure.layout.margin.t > loss_curves(HISTORY).layout.margin.t


def test_small_figures_keep_three_significant_digits() -> None:
    bars = comparison(REPORT, "NCF").data
    assert {bar.texttemplate for bar in bars} == {"%{y:.3g}"}
    assert all(bar.hovertemplate.startswith("%{y:.3g}<") for bar in bars)


def test_of_many_metrics_the_first_kinds_are_charted() -> None:
    kinds = ("ndcg", "hit_rate", "recall", "precision", "map")
    report = {"model": {f"{kind}@{k}": 0.5 for kind in kinds for k in (10, 100)}, "baselines": {}}
    labels = [label.partition("<br>")[0] for label in comparison(report, "two-tower").data[0].x]
    assert labels == ["NDCG", "NDCG", "HR", "HR", "recall", "recall"]


def test_comparison_has_a_bar_group_per_ranking_metric() -> None:
    figure = comparison(REPORT, "NCF")
    assert [bar.name for bar in figure.data] == ["NCF", "EASE"]  # the constant does not rank
    assert list(figure.data[0].x) == ["NDCG<br>@10", "HR<br>@10", "NDCG<br>@10<br>sampled"]
    assert list(figure.data[1].y) == [0.45, None, None]


def test_comparison_without_ranking_metrics_shows_classification() -> None:
    report = {"model": {"auc": 0.7, "accuracy": 0.9}, "baselines": {"constant": {"auc": 0.5, "accuracy": 0.8}}}
    assert list(comparison(report, "Wide & Deep").data[1].y) == [0.5, 0.8]


def test_calibration_shows_filled_bins_and_the_error() -> None:
    p = np.r_[np.full(50, 0.25), np.full(50, 0.75)]
    sums = ClassificationSums.of(np.r_[np.ones(10), np.zeros(40), np.ones(40), np.zeros(10)], p)
    figure = calibration_curve(sums)
    assert list(figure.data[1].x) == [0.25, 0.75]
    assert list(figure.data[1].y) == [0.2, 0.8]
    assert figure.layout.title.text.startswith("Calibration (error 0.0500)")
    assert figure.data[1].error_y.array[0] == pytest.approx(0.1304, abs=1e-3)  # Wilson, 10 of 50: 0.112 to 0.330


@pytest.mark.parametrize(
    "figure",
    [
        loss_curves(HISTORY),
        comparison(REPORT, "NCF"),
        comparison({"model": {}, "baselines": {}}, "NCF"),
        calibration_curve(ClassificationSums.of([1], [0.5])),
        calibration_curve(ClassificationSums.of([], [])),
    ],
    ids=["loss", "comparison", "empty comparison", "calibration", "empty calibration"],
)
def test_figures_suit_light_and_dark_and_are_plain_json(figure: go.Figure) -> None:
    layout = json.loads(figure.to_json())["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == "rgba(0,0,0,0)"
    assert layout["showlegend"] is False
    assert "NaN" not in figure.to_json()


def test_the_legend_stands_in_the_title() -> None:
    title = comparison(REPORT, "NCF").layout.title.text
    assert f'<span style="color:{COLOURS[0]}">⬤</span> NCF' in title
    assert f'<span style="color:{COLOURS[1]}">⬤</span> EASE' in title
