"""The report's plots, each an SVG element.

User text is never drawn here: names, tokens and labels are in the HTML around a plot.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

from ostinato.arrays import Floats
from ostinato.report.svg import (
    BLUE,
    GREEN,
    MUTED,
    ORANGE,
    drawing,
    label_steps,
    log_ticks,
    sample,
    thin,
    thousands,
)

_MOST_POINTS = 500
_BINS = 32


def loss(
    steps: Floats, raw: Floats, smooth: Floats, validation: tuple[Floats, Floats], best: float | None, unit: str
) -> Markup:
    """Training loss per step (raw faint, smoothed strong), validation at the end of each epoch, the best one marked."""
    with drawing("loss", f"Training and validation loss by step, in {unit}") as plot:
        axes = plot.axes
        at, values = thin(steps, raw)
        axes.plot(at, values, color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(*sample(steps, smooth), color=BLUE, label="training (smoothed)")
        shown = [smooth, validation[1]]
        if len(validation[0]):
            axes.plot(*validation, color=ORANGE, marker="o", markersize=3, label="validation")
        if best is not None:
            axes.axvline(best, color=MUTED, linewidth=0.9, linestyle=":", label="best epoch")
        low, high = min(float(a.min()) for a in shown if len(a)), max(float(a.max()) for a in shown if len(a))
        margin = max(high - low, 0.02 * abs(high), 1e-6)
        axes.set_ylim(low - 0.15 * margin, high + 0.15 * margin)
        label_steps(axes, f"loss, {unit}" if unit == "nats" else unit)
        axes.legend()
    return plot.svg


def validation_metric(steps: Floats, series: Sequence[tuple[str, Floats]], unit: str) -> Markup:
    """Metrics on the validation data by step."""
    with drawing("metric", "Validation metrics by step: " + ", ".join(name for name, _ in series)) as plot:
        for (name, values), colour in zip(series, (ORANGE, GREEN, BLUE, MUTED), strict=False):
            plot.axes.plot(steps, values, color=colour, marker="o", markersize=3, label=name)
        label_steps(plot.axes, unit)
        plot.axes.legend()
    return plot.svg


def gradient_norm(steps: Floats, norms: Floats, smooth: Floats, thresholds: Floats | None) -> Markup:
    """The gradient's norm before clipping, and what it was clipped to, by step, on a logarithmic scale."""
    with drawing("gradient", "Gradient norm before clipping, by step") as plot:
        axes = plot.axes
        positive = np.maximum(norms, 1e-12)
        at, values = thin(steps, positive)
        axes.plot(at, values, color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(*sample(steps, np.maximum(smooth, 1e-12)), color=BLUE, label="norm (smoothed)")
        if thresholds is not None:
            same = float(thresholds.min()) == float(thresholds.max())
            label = f"clipped above {thresholds[0]:g}" if same else "clipped above"
            at, values = (steps[[0, -1]], thresholds[[0, -1]]) if same else sample(steps, thresholds)
            axes.plot(at, values, color=ORANGE, linestyle="--", linewidth=1, label=label)
        axes.set_yscale("log")
        log_ticks(axes.yaxis, axes.get_ylim())
        label_steps(axes, "gradient norm")
        axes.legend()
    return plot.svg


def share_clipped(steps: Floats, share: Floats) -> Markup:
    """The share of steps around each at which the gradient was clipped."""
    with drawing("clipped", "Share of steps whose gradient was clipped, by step") as plot:
        plot.axes.plot(*sample(steps, share), color=ORANGE)
        plot.axes.set_ylim(0, 1)
        plot.axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        label_steps(plot.axes, "share clipped")
    return plot.svg


def learning_rate(steps: Floats, rates: Floats) -> Markup:
    """The learning rate by step."""
    with drawing("rate", "Learning rate by step") as plot:
        plot.axes.plot(*sample(steps, rates), color=BLUE)
        plot.axes.set_ylim(0, float(rates.max()) * 1.08)
        plot.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        label_steps(plot.axes, "learning rate")
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
    return histogram("lengths", label, values, edges, marks=marks, log=log, xlabel=f"{unit} in a sequence")


def error_by_length(at: Floats, rates: Floats, counts: Floats, noun: str) -> Markup:
    """Token error rate by the length of the reference; the area of a point is its count."""
    with drawing("by-length", f"Error rate by the length of the reference in {noun}s") as plot:
        axes = plot.axes
        axes.plot(at, rates, color=BLUE, linewidth=0.9, alpha=0.6)
        axes.scatter(at, rates, s=np.maximum(6.0, 160 * counts / max(float(counts.max()), 1.0)), color=BLUE, alpha=0.7)
        axes.set_ylim(0, max(float(rates.max()) * 1.15, 0.01))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.set_xlabel(f"{noun}s in the reference")
        axes.set_ylabel("token error rate")
    return plot.svg


def residuals(errors: Floats) -> Markup:
    """Histogram of predicted minus true."""
    low, high = float(errors.min()), float(errors.max())
    edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
    marks = [(f"mean {errors.mean():+.3g}", float(errors.mean()))]
    label = "Histogram of the errors, predicted minus true"
    return histogram("residuals", label, errors, edges, marks=marks, log=False, xlabel="predicted − true")


def histogram(
    name: str,
    label: str,
    values: Floats,
    edges: Floats,
    *,
    marks: Sequence[tuple[str, float]],
    log: bool,
    xlabel: str,
) -> Markup:
    """Counts of `values` between `edges`, with vertical lines at `marks`."""
    with drawing(name, label) as plot:
        axes = plot.axes
        counts, _ = np.histogram(values, bins=edges)
        axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.45)
        if log:
            axes.set_xscale("log")
            log_ticks(axes.xaxis, (max(float(edges[0]), 0.9), float(edges[-1])))
        else:
            whole = bool((values == np.round(values)).all())
            axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole, min_n_ticks=1))
        for (text, value), style in zip(marks, ("-", "--", ":"), strict=False):
            axes.axvline(value, ymax=0.86, color=ORANGE, linestyle=style, linewidth=1.2, label=text)
        axes.set_ylim(0, max(float(counts.max()), 1.0) * 1.2)  # the legend stands above bars and lines
        axes.set_xlabel(xlabel)
        axes.set_ylabel("count")
        axes.yaxis.set_major_formatter(thousands())
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.legend(loc="upper center", ncols=len(marks))
    return plot.svg


def coverage(shares: Floats) -> Markup:
    """The share of training tokens that the k most frequent tokens make up, by k."""
    with drawing("coverage", "Share of the training tokens that the most frequent tokens cover") as plot:
        axes = plot.axes
        ranks = np.unique(np.geomspace(1, len(shares), 200).astype(int))
        axes.plot(ranks, shares[ranks - 1], color=BLUE)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.03)
        log_ticks(axes.xaxis, (1.0, float(len(shares))))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("most frequent tokens kept")
        axes.set_ylabel("share of training tokens")
    return plot.svg


def calibration(bins: Sequence[dict[str, float]], num_classes: int) -> Markup:
    """Confidence against accuracy; the area of a point shows how many examples are behind it."""
    with drawing("calibration", "Confidence of predictions against their accuracy") as plot:
        axes = plot.axes
        start = 0.5 if num_classes == 2 else 0.0
        axes.plot([start, 1], [start, 1], color=MUTED, linestyle="--", linewidth=1, label="perfectly calibrated")
        x, y, counts = (np.asarray([row[key] for row in bins]) for key in ("confidence", "accuracy", "count"))
        axes.plot(x, y, color=BLUE, linewidth=1)
        axes.scatter(x, y, s=12 + 130 * counts / counts.max(), color=BLUE, alpha=0.55, linewidths=0, label="the model")
        axes.set_xlim(start - 0.02, 1.02)
        axes.set_ylim(min(start, float(y.min())) - 0.05, 1.05)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("confidence of the prediction")
        axes.set_ylabel("share correct")
        axes.legend(markerscale=0.5, loc="lower right" if start else "upper left")
    return plot.svg


def scatter(truth: Floats, predicted: Floats) -> Markup:
    """Predicted against true numbers, at most 500 of them (evenly picked in order of the truth)."""
    order = np.argsort(truth, kind="stable")
    picked = order[np.unique(np.linspace(0, len(order) - 1, _MOST_POINTS).astype(int))]
    with drawing("scatter", "Predicted against true numbers") as plot:
        axes = plot.axes
        ends = [float(min(truth.min(), predicted.min())), float(max(truth.max(), predicted.max()))]
        axes.plot(ends, ends, color=MUTED, linestyle="--", linewidth=1, label="perfect")
        axes.scatter(truth[picked], predicted[picked], s=9, color=BLUE, alpha=0.4, linewidths=0)
        axes.set_xlabel("true")
        axes.set_ylabel("predicted")
        axes.legend()
    return plot.svg


def bits(values: Floats, unit: str, mean: float) -> Markup:
    """-log2 of the probability given to each token of a passage."""
    with drawing("bits", f"Bits the model needed for each {unit} of the passage") as plot:
        axes = plot.axes
        axes.stairs(values, np.arange(len(values) + 1) + 0.5, fill=True, color=BLUE, alpha=0.6)
        axes.axhline(mean, color=ORANGE, linestyle="--", linewidth=1, label=f"mean of the passage, {mean:.2f}")
        axes.set_xlim(0.5, len(values) + 0.5)
        axes.set_ylim(0, max(float(values.max()), mean, 0.1) * 1.2)
        axes.set_xlabel(f"{unit} of the passage")
        axes.set_ylabel("bits")
        axes.legend(loc="upper right")
    return plot.svg
