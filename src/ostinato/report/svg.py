"""Matplotlib to inline SVG whose colours are the page's, so that a plot reads well in light, in dark and in print."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import matplotlib.style
import numpy as np
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

from ostinato.arrays import Floats

# The page's colours in light; in its plots they become its CSS variables.
INK, MUTED, LINE, BLUE, ORANGE, GREEN = "#1c2126", "#5c6670", "#dcdfe2", "#1f66b0", "#bf5a0a", "#23784a"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    LINE: "var(--line)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
}
_COLOURS, _STYLES = (BLUE, ORANGE, GREEN), ("-", "--", ":", "-.")
_FIGURE = (6.4, 3.9)
"""Inches of a figure of its own."""
_HANDLE, _MARGIN, _CHARACTERS = 7, 0.6, 16.0
"""What a line's sample takes of a legend, in characters; inches left of the axes; characters an inch."""
_MOST_POWERS, _LONGEST_NAME, _BEYOND_LATIN = 6, 30, "\u0180"
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.use": True,
    "font.size": 8.5,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "legend.borderaxespad": 0.3,
    "legend.columnspacing": 1.2,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "legend.handlelength": 1.6,
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


_GIVEN: ContextVar[Axes | None] = ContextVar("given", default=None)
"""Axes to draw on in place of new ones."""
Ticks = Callable[[Axis], None]
"""How the ticks of an axis are placed and written."""


@contextmanager
def drawing(
    name: str,
    label: str,
    x: str = "",
    y: str = "",
    *,
    x_ticks: Ticks | None = None,
    y_ticks: Ticks | None = None,
    size: tuple[float, float] = (4.4, 2.7),
) -> Iterator[Plot]:
    """Axes to draw on; afterwards they get their names, ticks and a legend above them, and the plot's `svg` is set.

    Args:
        name: distinguishes the plot's ids from those of other plots on the page.
        label: what a screen reader says.
        x: what the horizontal axis shows, with its unit.
        y: as `x`.
        x_ticks: as `whole`, `shares` or `logarithmic`; none: as matplotlib has them.
        y_ticks: as `x_ticks`.
        size: in inches, of which a page shows about 120 pixels.
    """
    given = _GIVEN.get()
    with matplotlib.style.context(["default", _STYLE]):
        figure = Figure(figsize=size)
        plot = Plot(given or figure.subplots())
        yield plot
        axes = plot.axes
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        for axis, ticks in ((axes.xaxis, x_ticks), (axes.yaxis, y_ticks)):
            if ticks is not None:
                ticks(axis)
        labels = axes.get_legend_handles_labels()[1]
        if labels:  # above the axes, so that it never covers what is drawn
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=_columns(labels, size[0]))
        if given is not None:
            return
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        plot.svg = inline_svg(buffer.getvalue(), name, label)


def drawn_on(axes: Axes | None, draw: Callable[[], object]) -> Axes:
    """What a plot of the report shows, on matplotlib's axes.

    Args:
        axes: to draw on; none: a new figure of pyplot, which a notebook shows.
        draw: makes one plot by `drawing`.

    Returns:
        the axes.
    """
    if axes is None:
        from matplotlib import pyplot

        with matplotlib.style.context(["default", _STYLE]):
            axes = pyplot.subplots(figsize=_FIGURE)[1]
    token = _GIVEN.set(axes)
    try:
        draw()
    finally:
        _GIVEN.reset(token)
    return axes


def _columns(labels: Sequence[str], width: float) -> int:
    """As many columns of a legend as fit beside each other in so many inches."""
    for columns in range(len(labels), 1, -1):
        widths = [max(map(len, part)) for part in np.array_split(np.asarray(labels), columns)]
        if sum(widths) + _HANDLE * columns <= (width - _MARGIN) * _CHARACTERS:
            return columns
    return 1


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


def varies(*lines: Floats) -> bool:
    """Whether any of them has two different values: one that has not is said, not drawn."""
    return any(len(line) > 1 and float(np.ptp(line)) > 0 for line in lines)


def whole(axis: Axis) -> None:
    """Ticks at whole numbers, such as 1,200."""
    axis.set_major_locator(MaxNLocator(7, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}".replace("-", "−")))


def shares(axis: Axis) -> None:
    """Ticks such as 20 %."""
    axis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def plain(axis: Axis) -> None:
    """Ticks at whole numbers that count nothing, such as the year 1959."""
    axis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}".replace("-", "−")))


def dates(axis: Axis) -> None:
    """Ticks at round dates or times, what they share written once."""
    locator = AutoDateLocator(minticks=3, maxticks=7)  # type: ignore[no-untyped-call]
    axis.set_major_locator(locator)
    formatter = ConciseDateFormatter(  # type: ignore[no-untyped-call]
        locator,
        formats=["%Y", "%b", "%d %b", "%H:%M", "%H:%M", "%S.%f"],
        zero_formats=["", "%Y", "%d %b", "%d %b", "%H:%M", "%H:%M"],
        offset_formats=["", "%Y", "%Y", "%Y-%m-%d", "%Y-%m-%d", "%Y-%m-%d %H:%M"],
    )
    axis.set_major_formatter(formatter)


def drawable(text: str) -> str:
    """A short name out of the data, as it may stand on an axis; "" for one with letters that not every font has."""
    return text if max(text, default="") < _BEYOND_LATIN and text.isprintable() and len(text) <= _LONGEST_NAME else ""


def logarithmic(axis: Axis) -> None:
    """A logarithmic axis: at most seven ticks, at powers of ten, at 2 and 5 times them too where it spans few, written
    as plain numbers."""
    axes, along = axis.axes, axis is axis.axes.xaxis
    (axes.set_xscale if along else axes.set_yscale)("log")
    low, high = np.log10(axes.get_xlim() if along else axes.get_ylim())
    stride = max(1, int(np.ceil((high - low) / _MOST_POWERS)))
    powers = 10.0 ** np.arange(np.floor(low / stride) * stride, np.ceil(high) + 1, stride)
    ticks = np.sort(np.outer((1.0, 2.0, 5.0) if high - low < 2.2 else (1.0,), powers).ravel())
    ticks = ticks[(ticks >= 10**low * 0.999) & (ticks <= 10**high * 1.001)]
    axis.set_major_locator(FixedLocator(ticks.tolist()) if len(ticks) > 1 else MaxNLocator(4))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 10 else f"{value:g}"))
    axis.set_minor_locator(NullLocator())
