"""The report's plots: matplotlib to inline SVG whose colours are the page's, so that light, dark and print all read well.

Nothing a user wrote is ever drawn here: names, tokens and labels stand in the HTML around a plot.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter, PercentFormatter
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

# Stand-ins that become the page's CSS variables.
INK, MUTED, LINE, BLUE, ORANGE, GREEN = "#010203", "#020304", "#030405", "#040506", "#050607", "#060708"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
}
_STYLE = {
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "figure.figsize": (4.4, 2.7),
    "font.size": 8.5,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "ostinato",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
}
_MOST_POINTS = 500


@dataclass
class Plot:
    """A figure being drawn: its axes, and (once drawn) its SVG."""

    axes: Axes
    svg: Markup = Markup()


@contextmanager
def drawing(name: str, label: str) -> Iterator[Plot]:
    """Axes to draw on; afterwards the plot's `svg` is set.

    Args:
        name: distinguishes the plot's ids from those of other plots on the page.
        label: what a screen reader says.
    """
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure()
        plot = Plot(figure.subplots())
        yield plot
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        plot.svg = inline_svg(buffer.getvalue(), name, label)


def inline_svg(svg: str, name: str, label: str) -> Markup:
    """Matplotlib's SVG file as an element of an HTML page: small, without outside references, ids unique to `name`."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<style.*?</style>", "", body, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]*)"', body)
    root = f'<svg class="plot" role="img" aria-label="{escape(label)}" viewBox="{view[1] if view else ""}">'
    body = re.sub(r"<svg[^>]*>", lambda _: root, body, count=1).replace("xlink:href", "href")
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', body))
    body = re.sub(r' id="([^"]*)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", body)
    body = re.sub(r'(href="#|url\(#)', rf"\g<1>{name}-", body)
    body = re.sub(r' (d|x|y|points|transform)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), body)
    body = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font: \1 system-ui, sans-serif", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, variable)
    return Markup(re.sub(r">\s+<", "><", body).strip())  # noqa: S704 (drawn here, from numbers)


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
        _steps(axes, unit)
        axes.legend()
    return plot.svg


def validation_metric(steps: Floats, series: Sequence[tuple[str, Floats]], unit: str) -> Markup:
    """Metrics on the validation data by step."""
    with drawing("metric", "Validation metrics by step: " + ", ".join(name for name, _ in series)) as plot:
        for (name, values), colour in zip(series, (ORANGE, GREEN, BLUE), strict=False):
            plot.axes.plot(steps, values, color=colour, marker="o", markersize=3, label=name)
        _steps(plot.axes, unit)
        plot.axes.legend()
    return plot.svg


def gradient_norm(steps: Floats, norms: Floats, smooth: Floats, max_norm: float | None) -> Markup:
    """The gradient's norm before clipping, by step, on a logarithmic scale."""
    with drawing("gradient", "Gradient norm before clipping, by step") as plot:
        axes = plot.axes
        positive = np.maximum(norms, 1e-12)
        at, values = thin(steps, positive)
        axes.plot(at, values, color=BLUE, alpha=0.25, linewidth=0.7)
        axes.plot(*sample(steps, np.maximum(smooth, 1e-12)), color=BLUE, label="norm (smoothed)")
        if max_norm is not None:
            axes.axhline(max_norm, color=ORANGE, linestyle="--", linewidth=1, label=f"clipped above {max_norm:g}")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        _steps(axes, "gradient norm")
        axes.legend()
    return plot.svg


def learning_rate(steps: Floats, rates: Floats) -> Markup:
    """The learning rate by step."""
    with drawing("rate", "Learning rate by step") as plot:
        plot.axes.plot(*sample(steps, rates), color=BLUE)
        plot.axes.set_ylim(0, float(rates.max()) * 1.08)
        plot.axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        _steps(plot.axes, "learning rate")
    return plot.svg


def histogram(
    name: str, label: str, values: Floats, *, log: bool, marks: Sequence[tuple[str, float]] = (), xlabel: str, noun: str
) -> Markup:
    """Counts of `values`, on a logarithmic x axis if asked, with vertical lines at `marks`."""
    with drawing(name, label) as plot:
        axes = plot.axes
        low, high = float(values.min()), float(values.max())
        if log:
            edges = np.unique(np.round(np.geomspace(max(low, 1.0), high + 1, 33)) - 0.5)
        else:
            edges = np.linspace(low, high if high > low else low + 1, 33)
        counts, edges = np.histogram(values, bins=edges)
        axes.stairs(counts, edges, fill=True, color=BLUE, alpha=0.45)
        if log:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        for (text, value), style in zip(marks, ("-", "--", ":"), strict=False):
            axes.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=text)
        axes.set_xlabel(xlabel)
        axes.set_ylabel(noun)
        axes.yaxis.set_major_formatter(_thousands())
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
        if marks:
            axes.legend()
    return plot.svg


def coverage(shares: Floats) -> Markup:
    """The share of training tokens that the k most frequent tokens make up, by k."""
    with drawing("coverage", "Share of the training tokens that the most frequent tokens cover") as plot:
        axes = plot.axes
        ranks = np.unique(np.geomspace(1, len(shares), 200).astype(int))
        axes.plot(ranks, shares[ranks - 1], color=BLUE)
        axes.set_xscale("log")
        axes.set_ylim(0, 1.03)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        axes.set_xlabel("most frequent tokens kept")
        axes.set_ylabel("share of training tokens")
    return plot.svg


def calibration(bins: Sequence[dict[str, float]], num_classes: int) -> Markup:
    """Confidence against accuracy; the area of a point shows how many examples are behind it."""
    with drawing("calibration", "Confidence of predictions against how often they were right") as plot:
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
        axes.set_ylabel("share that was right")
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


def sample(x: Floats, y: Floats, most: int = 300) -> tuple[Floats, Floats]:
    """At most `most` points of a smooth line, the last one among them."""
    picked = np.unique(np.linspace(0, len(x) - 1, most).astype(int))
    return x[picked], y[picked]


def thin(x: Floats, y: Floats, most: int = 300) -> tuple[Floats, Floats]:
    """A rough line with fewer points that looks the same: the lowest and the highest of every stretch."""
    if len(x) <= 2 * most:
        return x, y
    edges = np.linspace(0, len(x), most + 1).astype(int)
    picked: list[int] = []
    for start, end in zip(edges[:-1], edges[1:], strict=True):
        part = y[start:end]
        picked.extend(sorted({int(start + part.argmin()), int(start + part.argmax())}))
    return x[picked], y[picked]


def _steps(axes: Axes, ylabel: str) -> None:
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(_thousands())


def _thousands() -> FuncFormatter:
    write: Callable[[float, object], str] = lambda value, _: f"{value:,.0f}"  # noqa: E731
    return FuncFormatter(write)
