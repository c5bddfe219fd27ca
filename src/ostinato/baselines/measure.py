"""Measures the run's model and its baselines: quality, training time, size, latency, and the conclusion."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ostinato.baselines.base import Baseline, BaselineComparison, Stopwatch, taken
from ostinato.baselines.conclusion import conclude
from ostinato.baselines.folds import crossvalidated
from ostinato.baselines.found import Baselines, Entry, Folds, Part
from ostinato.baselines.paired import Gap, paired_gap, unpaired_gap
from ostinato.data.dataset import Prepared
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import SHARES, SUMS

_PILOT_ROWS = 1000
_PILOT_ANSWERS = 3
_LEAST_ANSWERS = 10
"""The fewest answers of a slow baseline that are worth scoring."""
_LATENCIES = 30
_LATENCY_S = 1.0
_IMPORT_S = 1.5
"""What a budget must have left for a baseline that needs a library."""
_PACKAGES = {"sklearn": "scikit-learn"}
"""What a library is called where it is installed from, if otherwise than in Python."""


def measure(
    comparison: BaselineComparison,
    baselines: Sequence[type[Baseline]],
    summary: dict[str, Any],
    budget_s: float,
    say: Callable[[str], None],
    own: Any = None,
    scored: str = "",
) -> Baselines:
    """Train baselines on a run's training data, and score them and its model on its validation data.

    Baselines are tried in order while the budget lasts; one that would take longer than what is left learns from as
    many rows as fit into it, or answers as many, and says so. What costs next to nothing is always tried.

    Args:
        comparison: the run's model and its data.
        baselines: those that can read the data, the cheapest first.
        summary: of the model's training: seconds and steps.
        budget_s: seconds for all baselines together, >= 0.
        say: called with progress messages.
        own: the model's answers; none: as it is now.
        scored: how these came about, where that is not plain.
    """
    prepared, answers = comparison.prepared, comparison.own() if own is None else own
    scores = comparison.scores(answers)
    entry = _own_entry(comparison, scores, summary)
    trial, watch, passed_over = _Trial(comparison, answers, scores, entry), Stopwatch(), []
    for made in baselines:
        reason = _obstacle(made, prepared, budget_s - watch.seconds)
        if not reason:
            say(f"baseline: {made.name}")
            reason = trial.run(made, budget_s - watch.seconds)
        if reason:
            passed_over.append(f"{made.name}: {reason}")
    found = Baselines(
        comparison.figure,
        comparison.lower_is_better,
        comparison.unit,
        comparison.question,
        comparison.num_units,
        comparison.num_train,
        budget_s,
        entry,
        trial.entries,
        passed_over,
        int(summary.get("steps", 0)),
        conclusion="",
        scored=scored,
    )
    return replace(found, conclusion=conclude(found))


def _own_entry(comparison: BaselineComparison, scores: Metrics, summary: dict[str, Any]) -> Entry:
    """The run's model."""
    recipe = comparison.prepared.recipe.model
    return Entry(
        "this model",
        f"{recipe.cell}, {recipe.num_layers} × {recipe.hidden_size}",
        _plain(scores),
        summary.get("seconds"),
        sum(p.numel() * p.element_size() for p in comparison.model.parameters()),
        _latency(comparison, comparison.own_one),
        comparison.num_train,
    )


def _obstacle(baseline: type[Baseline], prepared: Prepared, left_s: float) -> str | None:
    """Why a baseline is not tried."""
    libraries = {module.partition(".")[0] for module in baseline.modules}
    missing = sorted(_PACKAGES.get(name, name) for name in libraries if find_spec(name) is None)
    if missing:
        return f"{', '.join(missing)} is not installed (pip install 'ostinato[baselines]')"
    if baseline.trivial:
        return None
    needed = baseline.seconds(prepared) + (0.0 if libraries <= set(sys.modules) else _IMPORT_S)
    if left_s <= 0:
        return "the budget was spent"
    if needed > left_s:
        return f"it would take about {needed:.0f} s, and {left_s:.0f} s of the budget were left"
    return None


@dataclass
class _Trial:
    """Baselines tried one after the other. own_answers, own_scores, own: of the run's model; entries, fitted: those so
    far."""

    comparison: BaselineComparison
    own_answers: Any
    own_scores: Metrics
    own: Entry
    entries: list[Entry] = field(default_factory=list)
    fitted: list[Baseline] = field(default_factory=list)

    def run(self, made: type[Baseline], left_s: float) -> str | None:
        """Fit, answer and measure one baseline; or why that took too long."""
        for module in made.modules:
            import_module(module)
        baseline, comparison, watch = made.of(self.comparison.prepared), self.comparison, Stopwatch()
        share, seconds = _fit(baseline, comparison, left_s)
        smaller, own = comparison, self.own_scores
        if baseline.slow:
            a_unit = _seconds_an_answer(baseline, comparison, (left_s - seconds) / _LEAST_ANSWERS)
            count = int((left_s - watch.seconds) / a_unit)
            if count < min(_LEAST_ANSWERS, comparison.num_units):
                return f"{comparison.question} takes {a_unit:.2g} s, too long for {_LEAST_ANSWERS} within the budget"
            rows, seconds = comparison.picked(count), 0.0
            if len(rows) < comparison.num_units:
                smaller = comparison.on(comparison.validation.take(rows))
                own = smaller.scores(taken(self.own_answers, rows))
        scores = smaller.scores(baseline.answer(smaller.validation))
        gap = paired_gap(own[SUMS], scores[SUMS], comparison.figure, lower_is_better=comparison.lower_is_better)
        folds = crossvalidated(made, comparison) if gap.low is None else None
        entry = Entry(
            baseline.name,
            baseline.about,
            _plain(scores),
            seconds,
            baseline.num_bytes,
            _latency(comparison, baseline.answer),
            share,
            baseline.details,
            gap if folds is None else self._apart(folds),
            self._part(smaller, {self.own.name: own, baseline.name: scores}) if smaller is not comparison else None,
            folds,
        )
        self.entries.append(entry)
        self.fitted.append(baseline)
        return None

    def _apart(self, folds: Folds) -> Gap:
        """How far the model's few validation rows are ahead of a baseline's folds of other rows."""
        figure, sign = self.comparison.figure, -1.0 if self.comparison.lower_is_better else 1.0
        own, other = float(self.own_scores[figure]), float(folds.metrics[figure])
        if figure not in SHARES:
            return Gap(sign * (own - other), None, None)
        return unpaired_gap(own, self.comparison.num_units, other, folds.num_rows)

    def _part(self, smaller: BaselineComparison, known: dict[str, Metrics]) -> Part:
        """The figure of every method on what a slow baseline answered."""
        scores = {one.name: smaller.scores(one.answer(smaller.validation)) for one in self.fitted if not one.slow}
        figures = {name: float(one[smaller.figure]) for name, one in (scores | known).items()}
        return Part(smaller.num_units, figures)


def _fit(baseline: Baseline, comparison: BaselineComparison, left_s: float) -> tuple[int, float]:
    """Fit on as many rows as the budget allows; their number, and how many seconds it took."""
    size = share = comparison.num_train
    if not baseline.trivial and size > 2 * _PILOT_ROWS and comparison.divisible:
        pilot = Stopwatch()
        baseline.fit(comparison.some(_PILOT_ROWS), comparison.prepared.features)
        a_row = pilot.seconds / _PILOT_ROWS
        share = min(size, max(_PILOT_ROWS, int((left_s - pilot.seconds) / max(a_row, 1e-9))))
    watch = Stopwatch()
    baseline.fit(comparison.train if share >= size else comparison.some(share), comparison.prepared.features)
    return share, watch.seconds


def _seconds_an_answer(baseline: Baseline, comparison: BaselineComparison, most_s: float) -> float:
    """Of a slow baseline: the mean of a few; of the first alone, if it took longer than it may."""
    watch, answered = Stopwatch(), 0
    while answered < _PILOT_ANSWERS and (not answered or watch.seconds / answered <= most_s):
        baseline.answer(comparison.one(answered * comparison.num_units // _PILOT_ANSWERS))
        answered += 1
    return max(watch.seconds / answered, 1e-9)


def _latency(comparison: BaselineComparison, answer: Callable[[Any], Any]) -> float:
    """Milliseconds of one answer: the median of some, after one that is not counted."""
    answer(comparison.one(0))
    took: list[float] = []
    while len(took) < _LATENCIES and sum(took) < 1000 * _LATENCY_S:
        data = comparison.one(len(took) + 1)
        watch = Stopwatch()
        answer(data)
        took.append(1000 * watch.seconds)
    return statistics.median(took)


def _plain(metrics: Metrics) -> Metrics:
    """Single numbers only."""
    return {key: value for key, value in metrics.items() if isinstance(value, int | float)}
