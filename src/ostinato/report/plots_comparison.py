"""The plots of a comparison: each run a dot, each variant a line with its mean; validation loss by step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from ostinato.report.svg import BLUE, ORANGE, drawable, drawing, look, varies, whole


def quality(rows: Sequence[tuple[str, Sequence[float]]], metric: str) -> Markup:
    """Quality of each run, a line a variant, the first on top.

    Args:
        rows: (name, the quality of each seed).
        metric: its name.
    """
    with drawing("quality", f"{metric} of each run, by variant", metric) as plot:
        axes = plot.axes
        for place, (_, values) in enumerate(rows):
            axes.plot(values, [place] * len(values), "o", color=BLUE, alpha=0.6, markersize=4)
            axes.plot([sum(values) / len(values)], [place], "|", color=ORANGE, markersize=16, markeredgewidth=1.8)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return plot.svg


def curves(variants: Sequence[tuple[str, Sequence[Sequence[tuple[int, float]]]]]) -> Markup | None:
    """Validation loss by step: of each variant its mean over seeds; None where there are no curves.

    Args:
        variants: (name, of each seed the steps and losses of its validations).
    """
    means = []
    for name, runs in variants:
        shortest = min(map(len, runs))  # where patience ended training, seeds differ
        means.append(
            (name, np.asarray([run[:shortest] for run in runs], dtype=np.float64).reshape(len(runs), -1, 2).mean(0))
        )
    if not varies(*(mean[:, 1] for _, mean in means)):
        return None
    with drawing(
        "curves", "Validation loss by step, of each variant", "step", "validation loss", x_ticks=whole
    ) as plot:
        for number, (name, mean) in enumerate(means):
            label = drawable(name) or f"number {number + 1}"
            plot.axes.plot(mean[:, 0], mean[:, 1], label=label, marker="o", markersize=3, **look(number))
    return plot.svg
