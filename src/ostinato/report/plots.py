"""The report's plots, each an SVG element.

User text is hardly ever drawn here: tokens and labels are in the HTML around a plot, and so are names that are not
`drawable`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FuncFormatter

from ostinato.arrays import Floats
from ostinato.report.svg import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    Ticks,
    drawable,
    drawing,
    logarithmic,
    sample,
    shares,
    thin,
    varies,
    whole,
)

_MOST_POINTS = 500
_BINS = 32
_FEW, _LONG = 20, 4
"""Classes whose counts are written; letters of a name that is written along the axis."""


def loss(
    steps: Floats, raw: Floats, smooth: Floats, validation: tuple[Floats, Floats], best: float | None, unit: str
) -> Markup:
    """Training loss per step (raw faint, smoothed strong), validation at the end of each epoch, the best one marked."""
    label = f"Training and validation loss by step, in {unit}"
    with drawing("loss", label, "step", f"loss, {unit}" if unit == "nats" else unit, x_ticks=whole) as plot:
        axes = plot.axes
        axes.plot(*thin(steps, raw), color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(*sample(steps, smooth), color=BLUE, label="training (smoothed)")
        shown = [smooth, validation[1]]
        if len(validation[0]):
            axes.plot(*validation, color=ORANGE, marker="o", markersize=3, label="validation")
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=0.9, linestyle=":", label="best epoch")
        low, high = min(float(a.min()) for a in shown if len(a)), max(float(a.max()) for a in shown if len(a))
        margin = max(high - low, 0.02 * abs(high), 1e-6)
        axes.set_ylim(low - 0.15 * margin, high + 0.15 * margin)
    return plot.svg


def validation_metric(steps: Floats, series: Sequence[tuple[str, Floats]]) -> Markup:
    """Metrics on the validation data by step."""
    label = "Validation metrics by step: " + ", ".join(name for name, _ in series)
    with drawing("metric", label, "step", "on the validation data", x_ticks=whole) as plot:
        for (name, values), colour in zip(series, (ORANGE, GREEN, BLUE, MUTED), strict=False):
            plot.axes.plot(steps, values, color=colour, marker="o", markersize=3, label=name)
    return plot.svg


def gradient_norm(steps: Floats, norms: Floats, smooth: Floats, thresholds: Floats | None) -> Markup:
    """The gradient's norm before clipping, and what it was clipped to, by step, on a logarithmic scale."""
    label = "Gradient norm before clipping, by step"
    with drawing("gradient", label, "step", "gradient norm", x_ticks=whole, y_ticks=logarithmic) as plot:
        axes = plot.axes
        axes.plot(*thin(steps, np.maximum(norms, 1e-12)), color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(*sample(steps, np.maximum(smooth, 1e-12)), color=BLUE, label="norm (smoothed)")
        if thresholds is not None:
            same = not varies(thresholds)
            label = f"clipped above {thresholds[0]:g}" if same else "clipped above"
            at, values = (steps[[0, -1]], thresholds[[0, -1]]) if same else sample(steps, thresholds)
            axes.plot(at, values, color=ORANGE, linestyle="--", linewidth=1, label=label)
    return plot.svg


def share_clipped(steps: Floats, share: Floats) -> Markup:
    """The share of steps around each at which the gradient was clipped."""
    label = "Share of steps whose gradient was clipped, by step"
    with drawing("clipped", label, "step", "share of steps clipped", x_ticks=whole, y_ticks=shares) as plot:
        plot.axes.plot(*sample(steps, share), color=ORANGE)
        plot.axes.set_ylim(0, 1.03)
    return plot.svg


def learning_rate(steps: Floats, rates: Floats) -> Markup:
    """The learning rate by step."""
    with drawing("rate", "Learning rate by step", "step", "learning rate", x_ticks=whole, y_ticks=_short) as plot:
        plot.axes.plot(*sample(steps, rates), color=BLUE)
        plot.axes.set_ylim(0, float(rates.max()) * 1.08)
    return plot.svg


def lengths(values: Floats, median: float, high: float, unit: str) -> Markup:
    """Histogram of whole numbers, on a logarithmic axis where the longest is far from the median."""
    least, top = float(values.min()), float(values.max())
    log = top > 4 * max(median, 1.0)
    if log:
        edges = np.unique(np.round(np.geomspace(max(least, 1.0), top + 1, _BINS + 1))) - 0.5
    else:
        edges = np.arange(least, top + 2, max(1.0, np.ceil((top - least) / _BINS))) - 0.5
        edges = np.append(edges, edges[-1] + edges[1] - edges[0]) if edges[-1] < top else edges
    marks = [(f"median {median:,.0f}", median), (f"95 % {high:,.0f}", high), (f"longest {top:,.0f}", top)]
    label = "Histogram of the lengths: " + ", ".join(text for text, _ in marks)
    ticks = logarithmic if log else whole
    return histogram("lengths", label, values, edges, marks=marks, x=f"{unit} in a sequence", x_ticks=ticks)


def error_by_length(at: Floats, rates: Floats, counts: Floats, noun: str) -> Markup | None:
    """Token error rate by the length of the reference; the area of a point is its count. None of a single length."""
    if not varies(at):
        return None
    label, x = f"Error rate by the length of the reference in {noun}s", f"{noun}s in the reference"
    with drawing("by-length", label, x, "token error rate", x_ticks=whole, y_ticks=shares) as plot:
        axes = plot.axes
        axes.plot(at, rates, color=BLUE, linewidth=0.9, alpha=0.6)
        axes.scatter(at, rates, s=np.maximum(6.0, 160 * counts / max(float(counts.max()), 1.0)), color=BLUE, alpha=0.7)
        axes.set_ylim(0, max(float(rates.max()) * 1.15, 0.01))
    return plot.svg


def residuals(errors: Floats, name: str) -> Markup:
    """Histogram of predicted minus true; `name`: what the numbers are."""
    low, high = float(errors.min()), float(errors.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    marks = [(f"mean {errors.mean():+.3g}".replace("-", "−"), float(errors.mean()))]
    label = "Histogram of the errors, predicted minus true"
    return histogram("residuals", label, errors, edges, marks=marks, x=f"predicted − true {drawable(name)}".rstrip())


def histogram(
    name: str,
    label: str,
    values: Floats,
    edges: Floats,
    *,
    marks: Sequence[tuple[str, float]],
    x: str,
    x_ticks: Ticks | None = None,
) -> Markup:
    """Counts of `values` between `edges`, with vertical lines at `marks`."""
    with drawing(name, label, x, "count", x_ticks=x_ticks, y_ticks=whole) as plot:
        counts, _ = np.histogram(values, bins=edges)
        plot.axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.45)
        for (text, value), style in zip(marks, ("-", "--", ":"), strict=False):
            plot.axes.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=text)
        plot.axes.set_ylim(0, max(float(counts.max()), 1.0) * 1.05)
    return plot.svg


def coverage(covered: Floats) -> Markup:
    """The share of training tokens that the k most frequent tokens make up, by k."""
    label, x = "Share of the training tokens that the most frequent tokens cover", "most frequent tokens kept"
    with drawing("coverage", label, x, "share of training tokens", x_ticks=logarithmic, y_ticks=shares) as plot:
        ranks = np.unique(np.geomspace(1, len(covered), 200).astype(int))
        plot.axes.plot(ranks, covered[ranks - 1], color=BLUE)
        plot.axes.set_ylim(0, 1.03)
    return plot.svg


def calibration(bins: Sequence[dict[str, float]], num_classes: int) -> Markup:
    """Confidence against accuracy; the area of a point shows how many examples are behind it."""
    label, x = "Confidence of predictions against their accuracy", "confidence of the prediction"
    with drawing("calibration", label, x, "share correct", x_ticks=shares, y_ticks=shares) as plot:
        axes = plot.axes
        start = 0.5 if num_classes == 2 else 0.0
        axes.plot([start, 1], [start, 1], color=MUTED, linestyle="--", linewidth=1, label="perfectly calibrated")
        x_at, y_at, counts = (np.asarray([row[key] for row in bins]) for key in ("confidence", "accuracy", "count"))
        axes.plot(x_at, y_at, color=BLUE, linewidth=1, label="the model")
        axes.scatter(x_at, y_at, s=12 + 130 * counts / counts.max(), color=BLUE, alpha=0.55, linewidths=0)
        axes.set_xlim(start - 0.02, 1.02)
        axes.set_ylim(min(start, float(y_at.min())) - 0.05, 1.05)
    return plot.svg


def confusion(counts: Sequence[Sequence[int]], classes: Sequence[str]) -> Markup:
    """Of each true class, a row, the share that was taken for each class; with the counts where there are few."""
    found = np.asarray(counts, dtype=np.float64)
    shares_of = found / np.maximum(found.sum(axis=1, keepdims=True), 1)
    with drawing("confusion", "Predicted class by true class", "predicted", "true") as plot:
        axes = plot.axes
        axes.imshow(shares_of, cmap=LinearSegmentedColormap.from_list("shares", ["#ffffff", BLUE]), vmin=0, vmax=1)
        axes.grid(visible=False)
        names = [drawable(name) or str(place + 1) for place, name in enumerate(classes)]
        axes.set_xticks(range(len(names)), names, rotation=90 if max(map(len, names)) > _LONG else 0)
        axes.set_yticks(range(len(names)), names)
        for row, column in np.ndindex(found.shape) if len(names) <= _FEW else ():
            colour = "#ffffff" if shares_of[row, column] > 0.5 else INK
            axes.text(column, row, f"{found[row, column]:,.0f}", ha="center", va="center", color=colour)
    return plot.svg


def scatter(truth: Floats, predicted: Floats, name: str) -> Markup:
    """Predicted against true numbers, at most 500 of them (evenly picked in order of the truth); `name`: what they
    are."""
    order = np.argsort(truth, kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, _MOST_POINTS).astype(int))]
    names = [f"{which} {drawable(name)}".rstrip() for which in ("true", "predicted")]
    with drawing("scatter", "Predicted against true numbers", *names) as plot:
        ends = [float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))]
        plot.axes.plot(ends, ends, color=MUTED, linestyle="--", linewidth=1, label="perfect")
        plot.axes.scatter(truth[picked], predicted[picked], s=9, color=BLUE, alpha=0.4, linewidths=0)
    return plot.svg


def bits(values: Floats, unit: str, mean: float) -> Markup:
    """-log2 of the probability given to each token of a passage."""
    label = f"Bits the model needed for each {unit} of the passage"
    with drawing("bits", label, f"{unit} of the passage", "bits", x_ticks=whole) as plot:
        plot.axes.stairs(values, np.arange(len(values) + 1) + 0.5, fill=True, color=BLUE, alpha=0.6)
        mean_label = f"mean of the passage, {mean:.2f}"
        plot.axes.axhline(mean, color=ORANGE, linestyle="--", linewidth=1, label=mean_label)
        plot.axes.set_xlim(0.5, len(values) + 0.5)
        plot.axes.set_ylim(0, max(float(values.max()), mean, 0.1) * 1.05)
    return plot.svg


def _short(axis: Axis) -> None:
    """Ticks such as 0.0005."""
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
