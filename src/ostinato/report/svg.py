"""Matplotlib to inline SVG whose colours are the page's, so that a plot reads well in light, in dark and in print."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from ostinato.arrays import Floats

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
_COLOURS, _STYLES = (BLUE, ORANGE, GREEN), ("-", "--", ":", "-.")
_STYLE = {
    "axes.axisbelow": True,
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


@dataclass
class Plot:
    """A figure being drawn: its axes, and (once drawn) its SVG."""

    axes: Axes
    svg: Markup = field(default_factory=Markup)


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
    return Markup(re.sub(r">\s+<", "><", body).strip())


def renamed(svg: Markup, prefix: str) -> Markup:
    """The same plot with ids of its own, for a page that shows a plot of the same name before."""
    return Markup(re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{prefix}-", svg))


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
    for start, end in pairwise(edges.tolist()):
        part = y[start:end]
        picked.extend(sorted({int(start + part.argmin()), int(start + part.argmax())}))
    return x[picked], y[picked]


def look(number: int) -> dict[str, Any]:
    """Colour and dashes of one of several lines."""
    return {"color": _COLOURS[number % len(_COLOURS)], "linestyle": _STYLES[number // len(_COLOURS) % len(_STYLES)]}


def label_steps(axes: Axes, ylabel: str) -> None:
    """An x axis of training steps."""
    axes.set_xlabel("step")
    axes.set_ylabel(ylabel)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(thousands())


def log_ticks(axis: Axis, limits: tuple[float, float]) -> None:
    """Ticks at powers of ten, at 2 and 5 times them too where the axis spans few, written as plain numbers."""
    low, high = np.log10(limits[0]), np.log10(limits[1])
    factors = (1.0, 2.0, 5.0) if high - low < 2.2 else (1.0,)
    powers = 10.0 ** np.arange(np.floor(low), np.ceil(high) + 1)
    ticks = np.sort(np.outer(factors, powers).ravel())
    axis.set_major_locator(FixedLocator(ticks[(ticks >= limits[0] * 0.999) & (ticks <= limits[1] * 1.001)].tolist()))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 else f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def thousands() -> FuncFormatter:
    """Ticks such as 1,200."""
    return FuncFormatter(lambda value, _: f"{value:,.0f}")
