"""The report's plots of frames that were written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from ostinato.arrays import Floats
from ostinato.report.images import strip
from ostinato.report.svg import BLUE, MUTED, ORANGE, drawing, whole

MOST_LINES = 3
"""Channels that are drawn as lines; more of them are shades."""
_MOST_CELLS = 96
_STYLES = ("-", "--", ":")


def lines(name: str, right: list[Floats], said: list[Floats], x: str) -> Markup:
    """True sequences (T, C) in grey, written ones over them; a style of line a channel."""
    with drawing(name, "True sequences and written ones over time", x, size=(4.2, 2.1), x_ticks=whole) as plot:
        axes = plot.axes
        for rows, colour, width, alpha in ((right, MUTED, 2.2, 0.55), (said, ORANGE, 1.1, 0.9)):
            for row in rows:
                for channel, style in zip(range(row.shape[1]), _STYLES, strict=False):
                    axes.plot(row[:, channel], color=colour, linewidth=width, alpha=alpha, linestyle=style)
        axes.plot([], [], color=MUTED, linewidth=2.2, label="true")
        axes.plot([], [], color=ORANGE, label="written")
    return plot.svg


def shades(name: str, right: Floats, said: Floats, x: str) -> Markup:
    """A true sequence above, a written one below: a column a frame, a row a channel, the darker the greater."""
    label = "A true sequence above, a written one below, as shades"
    with drawing(name, label, x, size=(4.2, 2.1), x_ticks=whole) as plot:
        axes = plot.axes
        low, high = np.percentile(right, [1, 99])
        height, gap = right.shape[1], max(1, right.shape[1] // 12)
        for frames, base, colour in ((right, height + gap, MUTED), (said, 0, BLUE)):
            _cells(axes, _pooled(frames), base, len(frames), float(low), float(high), colour)
        axes.set_xlim(0, max(len(right), len(said)))
        axes.set_ylim(0, 2 * height + gap)
        axes.set_yticks([height / 2, 1.5 * height + gap], ["written", "true"])
        axes.grid(False)
    return plot.svg


def strips(right: Floats, said: Floats) -> Markup:
    """Pictures (T, C, H, W) of a true sequence above, of a written one below, evenly spaced over each."""
    return named((("true", strip(right)), ("written", strip(said))))


def named(rows: Sequence[tuple[str, Markup | None]]) -> Markup:
    """Pictures or players below each other, each with what it is; those that are there."""
    row = Markup("<div><small>{}</small><br>{}</div>")
    return Markup("").join(row.format(name, one) for name, one in rows if one is not None)


def _cells(axes: Any, frames: Floats, base: int, length: int, low: float, high: float, colour: str) -> None:
    """A rectangle a value, for the page's colours."""
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle

    width = length / len(frames)
    strength = np.clip((frames - low) / (high - low or 1.0), 0.0, 1.0)
    for level in np.linspace(0.1, 1.0, 10):
        steps, channels = np.nonzero((strength > level - 0.1) & (strength <= level))
        places = zip(steps.tolist(), channels.tolist(), strict=True)
        boxes = [Rectangle((step * width, base + channel), width, 1) for step, channel in places]
        axes.add_collection(PatchCollection(boxes, facecolor=colour, alpha=float(level), edgecolor="none"))


def _pooled(frames: Floats) -> Floats:
    """At most so many steps, each the mean of its neighbours."""
    if len(frames) <= _MOST_CELLS:
        return frames
    parts = np.array_split(frames, _MOST_CELLS)
    return np.stack([part.mean(axis=0) for part in parts])
