"""The report's plots of frames that were written."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ostinato.arrays import Floats
from ostinato.report.images import strip
from ostinato.report.svg import MUTED, ORANGE, drawing, whole

MOST_LINES = 3
"""Channels that are drawn as lines; more of them are shades."""
_MOST_CELLS = 96
_GREY, _BLUE = (0.5, 0.53, 0.56), (0.25, 0.5, 0.85)
"""Of shades, which are a picture and so can't take the page's colours: seen on light and on dark."""
_STYLES = ("-", "--", ":")


def lines(name: str, right: list[Floats], said: list[Floats], x: str, second: str) -> Markup:
    """True sequences (T, C) in grey, over them the `second` ones, written or expected; a style of line a channel."""
    with drawing(name, "True sequences and written ones over time", x, size=(4.2, 2.1), x_ticks=whole) as plot:
        axes = plot.axes
        for rows, colour, width, alpha in ((right, MUTED, 2.2, 0.55), (said, ORANGE, 1.1, 0.9)):
            for row in rows:
                for channel, style in zip(range(row.shape[1]), _STYLES, strict=False):
                    axes.plot(row[:, channel], color=colour, linewidth=width, alpha=alpha, linestyle=style)
        axes.plot([], [], color=MUTED, linewidth=2.2, label="true")
        axes.plot([], [], color=ORANGE, label=second)
    return plot.svg


def shades(name: str, right: Floats, said: Floats, x: str, second: str) -> Markup:
    """A true sequence above, the `second` one below: a column a frame, a row a channel, the darker the greater."""
    label = "A true sequence above, a written one below, as shades"
    with drawing(name, label, x, size=(4.2, 2.1), x_ticks=whole) as plot:
        axes = plot.axes
        low, high = np.percentile(right, [1, 99]).tolist()
        height, gap = right.shape[1], max(1, right.shape[1] // 12)
        for frames, base, shade in ((right, height + gap, _GREY), (said, 0, _BLUE)):
            strength = np.clip((_pooled(frames) - low) / (high - low or 1.0), 0.0, 1.0).T
            pixels = np.concatenate([np.broadcast_to(shade, (*strength.shape, 3)), strength[..., None]], axis=2)
            place = (0, len(frames), base, base + height)
            axes.imshow(pixels, origin="lower", extent=place, aspect="auto", interpolation="none")
        axes.set_xlim(0, max(len(right), len(said)))
        axes.set_ylim(0, 2 * height + gap)
        axes.set_yticks([height / 2, 1.5 * height + gap], [second, "true"])
        axes.grid(False)
    return plot.svg


def strips(right: Floats, said: Floats, second: str) -> Markup:
    """Pictures (T, C, H, W) of a true sequence above, of the `second` one below, evenly spaced over each."""
    return named((("true", strip(right)), (second, strip(said))))


def named(rows: Sequence[tuple[str, Markup | None]]) -> Markup:
    """Pictures or players below each other, each with what it is; those that are there."""
    row = Markup("<div><small>{}</small><br>{}</div>")
    return Markup("").join(row.format(name, one) for name, one in rows if one is not None)


def _pooled(frames: Floats) -> Floats:
    """At most so many steps, each the mean of its neighbours."""
    if len(frames) <= _MOST_CELLS:
        return frames
    parts = np.array_split(frames, _MOST_CELLS)
    return np.stack([part.mean(axis=0) for part in parts])
