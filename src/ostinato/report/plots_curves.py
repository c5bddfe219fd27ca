"""ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes

from ostinato.metrics.ranking import Ranking
from ostinato.report.svg import MUTED, drawing, look, sample, shares


def roc(ranked: Sequence[Ranking]) -> Markup:
    """True over false positive rate of each class, numbered where there are several."""
    label, x = "True positive rate over false positive rate", "false positive rate"
    with drawing("roc", label, x, "true positive rate", x_ticks=shares, y_ticks=shares) as plot:
        plot.axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="chance")
        for number, one in enumerate(ranked):
            plot.axes.plot(*sample(*one.roc), label=_name(number, ranked), **look(number))
        _whole_square(plot.axes)
    return plot.svg


def precision_recall(ranked: Sequence[Ranking]) -> Markup:
    """Precision over recall of each class, numbered where there are several."""
    with drawing(
        "precision-recall", "Precision over recall", "recall", "precision", x_ticks=shares, y_ticks=shares
    ) as plot:
        if len(ranked) == 1:
            share = ranked[0].hits[-1] / (ranked[0].hits[-1] + ranked[0].alarms[-1])
            plot.axes.axhline(share, color=MUTED, linestyle=":", linewidth=1, label="chance")
        for number, one in enumerate(ranked):
            plot.axes.plot(*sample(*one.precision_recall), label=_name(number, ranked), **look(number))
        _whole_square(plot.axes)
    return plot.svg


def _name(number: int, ranked: Sequence[Ranking]) -> str:
    return "the model" if len(ranked) == 1 else str(number + 1)


def _whole_square(axes: Axes) -> None:
    axes.set_xlim(-0.02, 1.03)
    axes.set_ylim(-0.02, 1.03)
