"""The report's plots of a forecaster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from ostinato.arrays import Array, Floats
from ostinato.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, dates, drawable, drawing, plain, whole


@dataclass(frozen=True)
class Shown:
    """One channel of one window: past (L,), truth (H,) with NaN where there is none, point (H,), interval (H, 2) or
    none, baseline (H,) a seasonal naive forecast or none, when (L + H,) the times of all steps or none, and what the
    numbers are."""

    past: Floats
    truth: Floats
    point: Floats
    interval: Floats | None
    baseline: Floats | None
    when: Array | None
    unit: str


def forecast(name: str, shown: Shown, interval: str) -> Markup:
    """The past, what came (where it is known), and what was forecast, by time where steps have one."""
    known = len(shown.past)
    dated = shown.when is not None and shown.when.dtype.kind == "M"
    at = np.arange(1 - known, len(shown.point) + 1) if shown.when is None else shown.when
    x = "steps from the last one known" if shown.when is None else "time"
    ticks = dates if dated else whole if shown.when is None else plain
    with drawing(name, "Forecast and truth", x, drawable(shown.unit), x_ticks=ticks) as plot:
        axes, ahead = plot.axes, at[known:]
        axes.plot(at[:known], shown.past, color=MUTED, linewidth=1)
        if np.isfinite(shown.truth).any():
            came = np.concatenate([shown.past[-1:], shown.truth])
            axes.plot(at[known - 1 :], came, color=INK, linewidth=1.1, label="what came")
        if shown.baseline is not None:
            axes.plot(ahead, shown.baseline, color=ORANGE, linewidth=0.9, linestyle=":", label="seasonal naive")
        marker = "o" if len(ahead) == 1 else ""
        if shown.interval is not None:
            low, high = shown.interval[:, 0], shown.interval[:, 1]
            axes.fill_between(ahead, low, high, color=BLUE, alpha=0.2, linewidth=0, label=interval)
        axes.plot(ahead, shown.point, color=BLUE, marker=marker, markersize=4, label="forecast")
        axes.axvline(at[known - 1], color=MUTED, linewidth=0.8, linestyle="--")
    return plot.svg


def error_by_step(lines: list[tuple[str, Floats]], unit: str) -> Markup | None:
    """Error at each step of the horizon, the model's first; None of a single step."""
    if not any(len(values) > 1 for _, values in lines):
        return None
    label = f"Error by step of the horizon: {', '.join(name for name, _ in lines)}"
    with drawing("horizon", label, "step of the horizon", unit, x_ticks=whole) as plot:
        for (name, values), colour in zip(lines, (BLUE, ORANGE, GREEN, MUTED), strict=False):
            plot.axes.plot(np.arange(1, len(values) + 1), values, color=colour, label=name)
        plot.axes.set_ylim(0, 1.08 * max(float(np.max(values)) for _, values in lines) or 1.0)
    return plot.svg
