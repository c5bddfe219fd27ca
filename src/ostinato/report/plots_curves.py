"""ROC and precision-recall curves."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from ostinato.metrics.ranking import Ranking
from ostinato.report.svg import MUTED, drawing, look, sample


def roc(ranked: Sequence[Ranking]) -> Markup:
    """True over false positive rate of each class, numbered where there are several."""
    with drawing("roc", "True positive rate over false positive rate") as plot:
        plot.axes.plot([0, 1], [0, 1], color=MUTED, linestyle=":", linewidth=1, label="chance")
        for number, one in enumerate(ranked):
            plot.axes.plot(*sample(*one.roc), label=_name(number, ranked), **look(number))
        _finish(plot.axes, "false positive rate", "true positive rate")
        plot.axes.legend(loc="lower right", ncols=1 if len(ranked) <= 5 else 2)
    return plot.svg


def precision_recall(ranked: Sequence[Ranking]) -> Markup:
    """Precision over recall of each class, numbered where there are several."""
    with drawing("precision-recall", "Precision over recall") as plot:
        for number, one in enumerate(ranked):
            plot.axes.plot(*sample(*one.precision_recall), label=_name(number, ranked), **look(number))
        if len(ranked) == 1:
            share = ranked[0].hits[-1] / (ranked[0].hits[-1] + ranked[0].alarms[-1])
            plot.axes.axhline(share, color=MUTED, linestyle=":", linewidth=1)
        _finish(plot.axes, "recall", "precision")
    return plot.svg


def _name(number: int, ranked: Sequence[Ranking]) -> str:
    return "the model" if len(ranked) == 1 else str(number + 1)


def _finish(axes: Axes, xlabel: str, ylabel: str) -> None:
    for axis, set_limits in ((axes.xaxis, axes.set_xlim), (axes.yaxis, axes.set_ylim)):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        set_limits(-0.02, 1.03)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
