"""The one sentence: is recurrence worth it here?"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ostinato.metrics.names import METRIC_NAMES

if TYPE_CHECKING:
    from ostinato.baselines.found import Baselines, Entry
    from ostinato.baselines.paired import Gap

NAMES = METRIC_NAMES | {"exact": "rows right", "f1": "F1", "log_loss": "log loss", "smape": "sMAPE"}
"""What each figure is called in a table or a sentence."""
_SHARES = ("accuracy", "token_error_rate")
_MANY_TIMES = 3.0
_NOTHING = "No baseline was tried, so there is nothing to compare with."


def conclude(found: Baselines) -> str:
    """Of the run's model and the best of its baselines: which is better, by how much, and at what cost."""
    baselines = [one for one in found.ranked if one.gap is not None]
    said = _sentence(found, baselines[0]) if baselines else _NOTHING
    return said[0].upper() + said[1:]


def _sentence(found: Baselines, best: Entry) -> str:
    figure, own = found.figure, found.own
    name, gap = NAMES.get(figure, figure), cast("Gap", best.gap)
    figures = {one.name: one.metrics[figure] for one in (own, best)} if best.part is None else best.part.figures
    if best.folds is not None:
        figures |= {best.name: best.folds.metrics[figure]}
    theirs, ours = (written(figures[one.name], figure) for one in (best, own))
    cost = f"{theirs} {name} {_cost(best, found.question)}"
    mine = f"the recurrent model reaches {ours} in {duration(own.seconds)} and {size(own.num_bytes)}"
    other = f"the best baseline, {best.name}, reaches {cost}"
    over = _over(found, best)
    if gap.low is None or gap.high is None:
        open_end = f"not enough data to say which is better ({over})"
        return f"{other}; {mine}: {open_end}."
    sure = f"95 % interval, {'of' if best.folds else 'paired over'} {over}"
    if gap.verdict == "worse":
        ahead = f"the baseline is {lead(gap, figure)} ({sure})"
        return f"{other}; {mine}: {ahead}, a recurrent model is not justified here."
    if gap.verdict == "better":
        return f"{mine}; {other}: {_worth(own, best)}, {lead(gap, figure)} ({sure})."
    return f"{other}; {mine}: no benefit of recurrence is shown here, {lead(gap, figure)} ({sure})."


def _over(found: Baselines, best: Entry) -> str:
    """What was compared on."""
    units = f"{found.num_units:,} {found.unit.removesuffix('s') if found.num_units == 1 else found.unit}"
    if best.folds is not None:
        return f"{units} against {best.folds.num_folds} folds of {best.folds.num_rows:,} training rows"
    return units if best.part is None else f"{best.part.num_units:,} of the {found.num_units:,} {found.unit}"


def lead(gap: Gap, figure: str) -> str:
    """How far the better one is ahead: `ahead by 2.2 to 14.5 points`; where it is open, how far either may be."""
    low, high = cast("float", gap.low), cast("float", gap.high)
    points = " points" if figure in _SHARES else ""
    if gap.verdict == "noise":
        return f"the difference is within noise, {signed(low, figure)} to {signed(high, figure)}{points}"
    near, far = sorted((abs(low), abs(high)))
    return f"ahead by {signed(near, figure)[1:]} to {signed(far, figure)[1:]}{points}"


def _cost(baseline: Entry, question: str) -> str:
    if baseline.seconds == 0:
        return f"without training, {latency(baseline.latency_ms)} for {question}"
    return f"in {duration(baseline.seconds)} and {size(baseline.num_bytes)}"


def _worth(own: Entry, best: Entry) -> str:
    if own.seconds and best.seconds and own.seconds > _MANY_TIMES * best.seconds:
        return f"recurrence is better here, at {own.seconds / max(best.seconds, 0.01):,.0f} times the training time"
    return "a recurrent model is justified here"


def written(value: float, figure: str) -> str:
    """A figure as people write it."""
    return f"{100 * value:.1f} %" if figure in _SHARES else f"{value:.3f}"


def signed(value: float, figure: str) -> str:
    """A difference, with its sign; of shares in points."""
    text = f"{100 * value:+.1f}" if figure in _SHARES else f"{value:+.3f}"
    return text.replace("-", "−")


def duration(seconds: float | None, *, short: bool = False) -> str:
    """Of training; `short`, for a table."""
    if seconds is None:
        return "?" if short else "an unknown time"
    if seconds < 1:
        return "< 1 s" if short else "less than a second"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def latency(milliseconds: float) -> str:
    """Of one answer."""
    if milliseconds >= 10_000:
        return f"{milliseconds / 1000:,.0f} s"
    return f"{milliseconds:.2g} ms" if milliseconds < 10 else f"{milliseconds:,.0f} ms"


def size(num_bytes: int) -> str:
    """In the unit that is read most easily."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if num_bytes >= factor:
            return f"{num_bytes / factor:,.{1 if num_bytes < 10 * factor else 0}f} {unit}"
    return f"{num_bytes} bytes"
