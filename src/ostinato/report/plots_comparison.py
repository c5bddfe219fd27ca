"""The plot of a comparison: each run a dot, each variant a line with its mean."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ostinato.report.svg import BLUE, ORANGE, drawing


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
