"""The run's model and its rivals side by side: quality, seconds of training, bytes, latency, and what follows."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ostinato.baselines.base import Contest, Rival, Scores, Stopwatch
from ostinato.baselines.conclusion import conclude
from ostinato.baselines.found import Baselines, Entry, Part
from ostinato.baselines.paired import paired_gap
from ostinato.data.dataset import Examples, Prepared
from ostinato.metrics.classification import Metrics

_PILOT_ROWS = 1000
_PILOT_ANSWERS = 3
_LEAST_ANSWERS = 10
"""Fewer answers of a slow rival would say nothing."""
_LATENCIES = 30
_LATENCY_S = 1.0
_IMPORT_S = 1.5
"""What a budget must have left for a rival that needs a library."""
_PACKAGES = {"sklearn": "scikit-learn"}
"""What a library is called where it is installed from, if otherwise than in Python."""


def measure(
    contest: Contest,
    rivals: Sequence[type[Rival]],
    summary: dict[str, Any],
    budget_s: float,
    say: Callable[[str], None],
) -> Baselines:
    """Train rivals on a run's training data, and score them and its model on its validation data.

    Rivals are tried in order while the budget lasts; one that would take longer than what is left learns from as many
    rows as fit into it, or answers as many, and says so. What costs next to nothing is always tried.

    Args:
        contest: the run's model and its data.
        rivals: those that can read the data, the cheapest first.
        summary: of the model's training: seconds and steps.
        budget_s: seconds for all rivals together, >= 0.
        say: is told what happens.
    """
    prepared, scores = contest.prepared, contest.scores(contest.own())
    own = _own_entry(contest, scores, summary)
    trial, watch, passed_over = _Trial(contest, scores, own), Stopwatch(), []
    for made in rivals:
        reason = _obstacle(made, prepared, budget_s - watch.seconds)
        if not reason:
            say(f"baseline: {made.name}")
            reason = trial.run(made.of(prepared), budget_s - watch.seconds)
        if reason:
            passed_over.append(f"{made.name}: {reason}")
    found = Baselines(
        contest.figure,
        contest.lower_is_better,
        contest.unit,
        contest.question,
        contest.num_units,
        _size(contest),
        budget_s,
        own,
        trial.entries,
        passed_over,
        int(summary.get("steps", 0)),
        conclusion="",
    )
    return replace(found, conclusion=conclude(found))


def _own_entry(contest: Contest, scores: Scores, summary: dict[str, Any]) -> Entry:
    """The run's model."""
    recipe = contest.prepared.recipe.model
    return Entry(
        "this model",
        f"{recipe.cell}, {recipe.num_layers} × {recipe.hidden_size}",
        _plain(scores.metrics),
        summary.get("seconds"),
        sum(p.numel() * p.element_size() for p in contest.model.parameters()),
        _latency(contest, contest.own_one),
        _size(contest),
    )


def _obstacle(rival: type[Rival], prepared: Prepared, left_s: float) -> str | None:
    """Why a rival is not tried."""
    libraries = {module.partition(".")[0] for module in rival.modules}
    missing = sorted(_PACKAGES.get(name, name) for name in libraries if find_spec(name) is None)
    if missing:
        return f"{', '.join(missing)} is not installed (pip install 'ostinato[baselines]')"
    if rival.trivial:
        return None
    needed = rival.seconds(prepared) + (0.0 if libraries <= set(sys.modules) else _IMPORT_S)
    if left_s <= 0:
        return "the budget was spent"
    if needed > left_s:
        return f"it would take about {needed:.0f} s, and {left_s:.0f} s of the budget were left"
    return None


@dataclass
class _Trial:
    """Rivals tried one after the other. own_scores, own: of the run's model; entries, fitted: the rivals so far."""

    contest: Contest
    own_scores: Scores
    own: Entry
    entries: list[Entry] = field(default_factory=list)
    fitted: list[Rival] = field(default_factory=list)

    def run(self, rival: Rival, left_s: float) -> str | None:
        """Fit, answer and measure one rival; or why that took too long."""
        for module in rival.modules:
            import_module(module)
        contest, watch = self.contest, Stopwatch()
        share, seconds = _fit(rival, contest, left_s)
        smaller = contest
        if rival.slow:
            a_unit = _seconds_an_answer(rival, contest, (left_s - seconds) / _LEAST_ANSWERS)
            count = int((left_s - watch.seconds) / a_unit)
            if count < min(_LEAST_ANSWERS, contest.num_units):
                return f"{contest.question} takes {a_unit:.2g} s, too long for {_LEAST_ANSWERS} within the budget"
            smaller, seconds = contest.part(count), 0.0
        scores = smaller.scores(rival.answer(smaller.validation))
        partly = smaller.num_units < contest.num_units
        own = smaller.scores(smaller.own()) if partly else self.own_scores
        entry = Entry(
            rival.name,
            rival.about,
            _plain(scores.metrics),
            seconds,
            rival.num_bytes,
            _latency(contest, rival.answer),
            share,
            rival.details,
            paired_gap(own.blocks, scores.blocks, lower_is_better=contest.lower_is_better),
            self._part(smaller, {self.own.name: own, rival.name: scores}) if partly else None,
        )
        self.entries.append(entry)
        self.fitted.append(rival)
        return None

    def _part(self, smaller: Contest, known: dict[str, Scores]) -> Part:
        """The figure of every method on what a slow rival answered."""
        scores = {one.name: smaller.scores(one.answer(smaller.validation)) for one in self.fitted if not one.slow}
        figures = {name: float(one.metrics[smaller.figure]) for name, one in (scores | known).items()}
        return Part(smaller.num_units, figures)


def _fit(rival: Rival, contest: Contest, left_s: float) -> tuple[int, float]:
    """Fit on as many rows as the budget allows; their number, and how many seconds it took."""
    size = share = _size(contest)
    if not rival.trivial and size > 2 * _PILOT_ROWS and isinstance(contest.train, Examples):
        pilot = Stopwatch()
        rival.fit(contest.some(_PILOT_ROWS), contest.prepared.features)
        a_row = pilot.seconds / _PILOT_ROWS
        share = min(size, max(_PILOT_ROWS, int((left_s - pilot.seconds) / max(a_row, 1e-9))))
    watch = Stopwatch()
    rival.fit(contest.train if share >= size else contest.some(share), contest.prepared.features)
    return share, watch.seconds


def _seconds_an_answer(rival: Rival, contest: Contest, most_s: float) -> float:
    """Of a slow rival: the mean of a few; of the first alone, if it took longer than it may."""
    watch, answered = Stopwatch(), 0
    while answered < _PILOT_ANSWERS and (not answered or watch.seconds / answered <= most_s):
        rival.answer(contest.one(answered * contest.num_units // _PILOT_ANSWERS))
        answered += 1
    return max(watch.seconds / answered, 1e-9)


def _latency(contest: Contest, answer: Callable[[Any], Any]) -> float:
    """Milliseconds of one answer: the median of some, after one that is not counted."""
    answer(contest.one(0))
    took: list[float] = []
    while len(took) < _LATENCIES and sum(took) < 1000 * _LATENCY_S:
        data = contest.one(len(took) + 1)
        watch = Stopwatch()
        answer(data)
        took.append(1000 * watch.seconds)
    return statistics.median(took)


def _size(contest: Contest) -> int:
    return len(contest.train)


def _plain(metrics: Metrics) -> Metrics:
    """Single numbers only."""
    return {key: value for key, value in metrics.items() if isinstance(value, int | float)}
