"""Plotly figures of a run: loss curves, model against baselines, calibration.

Kedro-Viz draws these small (400 x 300), without a legend, in its own light or dark colours for the first pair of axes
only. So the legend is a line of coloured dots under the title, backgrounds are transparent, and what the theme does not
reach is a grey that reads on both. Colours are those of Okabe & Ito (2008), told apart by colour-blind readers too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from tandem.evaluation.classification import CALIBRATION_BINS, ClassificationSums
from tandem.evaluation.report import Report, display_name

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#999999")
_GREY, _GRID, _CLEAR = "#7A7A7A", "rgba(128,128,128,0.25)", "rgba(0,0,0,0)"
_RANKING = ("ndcg@", "hit_rate@", "recall@", "precision@", "map@")
_CLASSIFICATION = ("auc", "average_precision", "accuracy")
_MOST_GROUPS = 6  # of bars: more cannot be read at that size
_MOST_MARKERS = 40
_MOST_LETTERS = 54  # of a line of the legend
_GAP = 0.16  # between the two plots of a figure, of its height
# Values so many times smaller than the largest have a scale of their own, on the right.
_OTHER_SCALE = 4.0
_SHORT = {"ndcg": "NDCG", "hit_rate": "HR", "map": "MAP", "auc": "AUC", "average_precision": "average precision"}


def loss_curves(history: Sequence[Mapping[str, Any]], title: str = "Training") -> go.Figure:
    """Losses per epoch, and below them the validation metrics where there are any.

    Epochs of another phase than the search are a new model's: a curve of its own, "refit loss" or "publish loss". Where
    the values of some curves are far smaller than those of others, they have an axis of their own on the right. The
    epoch that early stopping chose is marked.

    Args:
        history: one record per epoch: ``epoch``, ``train_loss``, and any of ``phase``, ``val_…``, ``learning_rate``,
            ``seconds``, ``samples_per_second``, ``chosen``; a value may be missing or ``None``.
        title: of the figure.
    """
    history = [_of_phase(record) for record in history]
    names = list(dict.fromkeys(name for record in history for name in record if _present(history, name)))
    losses = [name for name in names if name.endswith("loss")]
    metrics = [name for name in names if name.startswith("val_") and name not in losses]
    groups = [(losses, "loss (nats)"), (metrics, "validation")] if metrics else [(losses, "loss (nats)")]
    small = {name for group, _ in groups for name in _of_another_scale(history, group)}
    specs = [[{"secondary_y": not small.isdisjoint(group)}] for group, _ in groups]
    figure = make_subplots(rows=len(groups), cols=1, specs=specs, shared_xaxes=True, vertical_spacing=_GAP)
    colours = dict(zip(losses + metrics, COLOURS * len(names), strict=False))
    for name, colour in colours.items():
        row = 1 if name in losses else 2
        figure.add_trace(_curve(history, name, colour), row=row, col=1, secondary_y=name in small)
    legend = {_plain(name.removeprefix("val_") if name in metrics else name): colours[name] for name in colours}
    _style(figure, title, legend)
    for row, (group, text) in enumerate(groups, 1):
        right = [_plain(name) for name in group if name in small]
        figure.update_yaxes(title_text=text, row=row, col=1, secondary_y=False)
        if right:
            figure.update_yaxes(title_text=", ".join(right), showgrid=False, row=row, col=1, secondary_y=True)
    _mark_chosen(figure, history, 1.0 if len(groups) == 1 else (1.0 - _GAP) / 2)
    epochs = [int(record["epoch"]) for record in history]
    for row, group in ((1, losses), (2, metrics)):
        if len(epochs) == 1 and group:  # a single point has no scale of its own
            highest = max(abs(history[0][name]) for name in group)
            figure.update_yaxes(range=[0.0, 1.25 * highest], row=row, col=1)
    span = {"range": [min(epochs) - 0.5, max(epochs) + 0.5]} if epochs else {}
    figure.update_xaxes(tickformat="d", dtick=1 if len(epochs) <= 10 else None, **span)
    figure.update_xaxes(title_text="epoch", row=len(groups), col=1)
    return figure


def comparison(report: Report, model_name: str, title: str = "Model against baselines") -> go.Figure:
    """Grouped bars: ranking metrics (classification metrics where there are none) of the model and each baseline.

    Args:
        report: the content of ``metrics.json``.
        model_name: "NCF" and the like.
        title: of the figure.
    """
    columns = {model_name: report["model"]} | {display_name(n): m for n, m in report["baselines"].items()}
    metrics = _charted(columns, _RANKING) or _charted(columns, _CLASSIFICATION)
    shown = {name: column for name, column in columns.items() if any(column.get(m) is not None for m in metrics)}
    colours = dict(zip(shown, COLOURS * len(shown), strict=False))
    figure = go.Figure()
    for name, column in shown.items():
        figure.add_bar(
            x=[_metric_label(metric) for metric in metrics],
            y=[column.get(metric) for metric in metrics],
            name=name,
            marker={"color": colours[name]},
            texttemplate="%{y:.3g}",
            textposition="outside",
            textangle=-90,
            textfont={"size": 9},
            constraintext="none",
            cliponaxis=False,
            hovertemplate="%{y:.3g}<extra>" + name + "</extra>",
        )
    _style(figure, title, colours)
    highest = max((column.get(m) or 0.0 for column in shown.values() for m in metrics), default=1.0)
    figure.update_layout(barmode="group", bargap=0.25, bargroupgap=0.05)
    figure.update_xaxes(tickmode="array", tickvals=list(range(len(metrics))), tickangle=0)
    figure.update_yaxes(title_text="metric (0 to 1, higher is better)", range=[0.0, 1.25 * (highest or 1.0)])
    return figure


def calibration_curve(sums: ClassificationSums, title: str = "Calibration") -> go.Figure:
    """Reliability diagram: the share of positives among the rows of each predicted probability, and their number.

    Bars around a point are the 95 % interval of its share (Wilson 1927). Bins without rows are left out.

    Args:
        sums: of the rows, as in ``ClassificationSums.of(labels, probabilities)``.
        title: of the figure; the calibration error is added to it.
    """
    filled = sums.bin_rows > 0
    rows = sums.bin_rows[filled]
    predicted, observed = sums.bin_probabilities[filled] / rows, sums.bin_labels[filled] / rows
    low, high = _wilson_interval(observed, rows)
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.14)
    line = {"color": _GREY, "dash": "dash", "width": 1}
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line=line, name="perfect", hoverinfo="skip", row=1, col=1)
    figure.add_scatter(
        x=predicted,
        y=observed,
        error_y={"type": "data", "array": high - observed, "arrayminus": observed - low, "thickness": 1},
        mode="lines+markers",
        line={"color": COLOURS[0], "width": 2},
        customdata=rows,
        hovertemplate="predicted %{x:.3f}, observed %{y:.3f}<br>%{customdata:,} rows<extra></extra>",
        row=1,
        col=1,
    )
    width = 1.0 / CALIBRATION_BINS
    middles = (np.flatnonzero(filled) + 0.5) * width
    hover = "%{y:,} rows<extra></extra>"
    bars = {"marker": {"color": COLOURS[1]}, "width": 0.9 * width, "hovertemplate": hover}
    figure.add_bar(x=middles, y=rows, row=2, col=1, **bars)
    error = sums.metrics()["calibration_error"]
    shown = title if error is None else f"{title} (error {error:.4f})"
    _style(figure, shown, {"model": COLOURS[0], "perfect": _GREY, "rows": COLOURS[1]})
    figure.update_yaxes(title_text="share of positives", range=[0, 1], row=1, col=1)
    decades = float(np.log10(rows.max(initial=1.0)))
    counts = {"type": "log", "range": [-0.3, 1.1 * decades + 0.3], "dtick": max(1, round(decades / 3))}
    figure.update_yaxes(title_text="rows", **counts, row=2, col=1)
    figure.update_xaxes(range=[0, 1])
    figure.update_xaxes(title_text="predicted probability", row=2, col=1)
    return figure


def _style(figure: go.Figure, title: str, legend: Mapping[str, str]) -> None:
    """What all figures share; ``legend`` is name to colour."""
    lines = _legend_lines(legend)
    figure.update_layout(
        template="none",
        title={"text": "<br>".join([title, *lines]), "x": 0.02, "xanchor": "left"},
        font={"family": "sans-serif", "size": 13, "color": _GREY},
        paper_bgcolor=_CLEAR,
        plot_bgcolor=_CLEAR,
        showlegend=False,
        margin={"l": 72, "r": 40, "t": 50 + 22 * max(1, len(lines)), "b": 60},
        hovermode="closest",
    )
    small = {"tickfont": {"size": 10}, "title_font": {"size": 11}, "title_standoff": 8}
    axis = small | {"gridcolor": _GRID, "linecolor": _GREY, "tickcolor": _GREY, "zeroline": False, "automargin": True}
    figure.update_xaxes(**axis, showgrid=False, showline=True)
    figure.update_yaxes(**axis, showgrid=True)
    if not figure.data:
        figure.add_annotation(text="nothing to show", showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)


def _legend_lines(legend: Mapping[str, str]) -> list[str]:
    """Dots and names, as many to a line as fit into a small figure."""
    lines: list[list[str]] = []
    room = 0
    for name, colour in legend.items():
        room -= len(name) + 3
        if room < 0:
            lines.append([])
            room = _MOST_LETTERS - len(name) - 3
        lines[-1].append(f'<span style="color:{colour}">⬤</span> {name}')
    return [f"<sup>{'   '.join(line)}</sup>" for line in lines]


def _of_another_scale(history: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[str]:
    """Those whose curves would be flat on the axis of the largest."""
    tops = {name: max(abs(record[name]) for record in history if record.get(name) is not None) for name in names}
    return [name for name, top in tops.items() if top * _OTHER_SCALE < max(tops.values())]


def _mark_chosen(figure: go.Figure, history: Sequence[Mapping[str, Any]], height: float) -> None:
    """A line through all plots, and above the height given, as a share of the figure's, what it means."""
    chosen = next((record["epoch"] for record in history if record.get("chosen") and _validated(record)), None)
    if chosen is None:
        return
    figure.add_vline(x=chosen, line={"color": _GREY, "dash": "dot", "width": 1.5})
    late = chosen > 0.7 * max(record["epoch"] for record in history)
    figure.add_annotation(
        text=f"epoch {chosen} chosen",
        **{"x": chosen, "xref": "x", "xanchor": "right" if late else "left", "showarrow": False},
        **{"y": height, "yref": "paper", "yanchor": "bottom", "font": {"size": 10}},
    )


def _of_phase(record: Mapping[str, Any]) -> Mapping[str, Any]:
    phase = record.get("phase", "search")
    return record if phase == "search" else {f"{phase}_loss" if n == "train_loss" else n: v for n, v in record.items()}


def _validated(record: Mapping[str, Any]) -> bool:
    return any(name.startswith("val_") and value is not None for name, value in record.items())


def _curve(history: Sequence[Mapping[str, Any]], name: str, colour: str) -> go.Scatter:
    points = [record for record in history if record.get(name) is not None]
    details = ["<br>".join(_speed(record)) for record in points]
    return go.Scatter(
        x=[record["epoch"] for record in points],
        y=[record[name] for record in points],
        name=_plain(name),
        mode="lines+markers" if len(points) <= _MOST_MARKERS else "lines",
        line={"color": colour, "width": 2},
        customdata=details,
        hovertemplate=f"epoch %{{x}}: {_plain(name)} %{{y:.4f}}<br>%{{customdata}}<extra></extra>",
    )


def _speed(record: Mapping[str, Any]) -> list[str]:
    """What the record says of the epoch's pace, one line each."""
    lines = {"learning_rate": "learning rate {:.3g}", "seconds": "{:.1f} s", "samples_per_second": "{:,.0f} samples/s"}
    return [text.format(record[name]) for name, text in lines.items() if record.get(name) is not None]


def _present(history: Sequence[Mapping[str, Any]], name: str) -> bool:
    return any(record.get(name) is not None for record in history)


def _plain(name: str) -> str:
    """``train_loss`` as "train loss", ``val_ndcg@10`` as "validation NDCG@10"."""
    base = name.removeprefix("val_")
    label = _metric_label(base).replace("<br>@", "@").replace("<br>", " ")
    return label if base == name else f"validation {label}"


def _metric_label(metric: str) -> str:
    base, at, k = metric.partition("@")
    cutoff, _, sampled = k.partition("_")
    label = _SHORT.get(base, base.replace("_", " "))
    return "<br>".join(filter(None, (label, at + cutoff, sampled)))


def _charted(columns: Mapping[str, Mapping[str, Any]], starts: Sequence[str]) -> list[str]:
    """Metrics with one of these beginnings that any column has, in their order, the sampled last.

    Of many, those with the last beginnings are left out.
    """
    names = dict.fromkeys(n for column in columns.values() for n, value in column.items() if value is not None)
    kinds = [[name for name in names if name.startswith(start)] for start in starts]
    while sum(map(len, kinds)) > _MOST_GROUPS and len(kinds) > 1:
        kinds.pop()
    chosen = [name for kind in kinds for name in kind]
    return sorted(chosen, key=lambda name: name.endswith("_sampled"))


def _wilson_interval(share: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> tuple[Any, Any]:
    z = 1.96
    centre = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * np.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return np.minimum(centre - half, share), np.maximum(centre + half, share)
