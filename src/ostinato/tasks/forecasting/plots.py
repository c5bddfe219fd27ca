"""The report's plots of a forecaster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from ostinato.arrays import Floats
from ostinato.report.svg import BLUE, GREEN, INK, MUTED, ORANGE, drawing


@dataclass(frozen=True)
class Shown:
    """One channel of one window: past (L,), truth (H,) with NaN where there is none, point (H,), interval (H, 2) or
    none, baseline (H,) a seasonal naive forecast or none."""

    past: Floats
    truth: Floats
    point: Floats
    interval: Floats | None
    baseline: Floats | None


def forecast(name: str, shown: Shown, interval: str) -> Markup:
    """The past, what came, and what was forecast; step 0 is the last one known."""
    with drawing(name, "Forecast and truth") as plot:
        axes = plot.axes
        steps = np.arange(1, len(shown.point) + 1)
        axes.plot(np.arange(1 - len(shown.past), 1), shown.past, color=MUTED, linewidth=1)
        joined = np.concatenate([shown.past[-1:], shown.truth])
        axes.plot(np.arange(len(joined)), joined, color=INK, linewidth=1.1, label="what came")
        if shown.baseline is not None:
            axes.plot(steps, shown.baseline, color=ORANGE, linewidth=0.9, linestyle=":", label="seasonal naive")
        if shown.interval is not None:
            low, high = shown.interval[:, 0], shown.interval[:, 1]
            axes.fill_between(steps, low, high, color=BLUE, alpha=0.2, linewidth=0, label=interval)
        axes.plot(steps, shown.point, color=BLUE, label="forecast")
        axes.axvline(0, color=MUTED, linewidth=0.8, linestyle="--")
        axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        axes.set_xlabel("steps from the last one known")
        bottom, top = axes.get_ylim()
        axes.set_ylim(bottom, top + 0.22 * (top - bottom))
        axes.legend(loc="upper left", ncols=2)
    return plot.svg


def error_by_step(lines: list[tuple[str, Floats]], unit: str) -> Markup:
    """Error at each step of the horizon, the model's first."""
    with drawing("horizon", f"Error by step of the horizon: {', '.join(name for name, _ in lines)}") as plot:
        for (name, values), colour in zip(lines, (BLUE, ORANGE, GREEN, MUTED), strict=False):
            marker = "o" if len(values) == 1 else ""
            plot.axes.plot(np.arange(1, len(values) + 1), values, color=colour, label=name, marker=marker)
        plot.axes.set_ylim(0, max(float(np.max(values)) for _, values in lines) * (1.1 + 0.12 * len(lines)))
        plot.axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
        plot.axes.set_xlabel("step of the horizon")
        plot.axes.set_ylabel(unit)
        plot.axes.legend(loc="upper left")
    return plot.svg


def coverage_by_level(levels: tuple[float, ...], shares: list[float]) -> Markup:
    """The share of truths below each quantile."""
    with drawing("levels", "Share of truths below each quantile") as plot:
        plot.axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1, label="perfect")
        plot.axes.plot(levels, shares, color=BLUE, marker="o", markersize=3, label="model")
        plot.axes.set_xlim(0, 1)
        plot.axes.set_ylim(0, 1)
        plot.axes.set_xlabel("level of the quantile")
        plot.axes.set_ylabel("share of truths below it")
        plot.axes.legend(loc="upper left")
    return plot.svg
