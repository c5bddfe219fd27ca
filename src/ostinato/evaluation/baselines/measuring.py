"""The run's model and its rivals side by side: quality, seconds of training, bytes, latency, and what follows."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ostinato.data.dataset import Examples, Prepared
from ostinato.errors import RunError
from ostinato.evaluation.baselines.base import Contest, Figures, Rival, Stopwatch
from ostinato.evaluation.baselines.conclusion import conclude
from ostinato.evaluation.baselines.paired import Gap, paired_gap
from ostinato.evaluation.metrics import Metrics
from ostinato.storage.files import write_atomically

BASELINES_FILE = "baselines.json"
_HERE = "ostinato.evaluation.baselines"
_PILOT_ROWS = 1000
_LATENCIES = 30
_LATENCY_S = 1.0
_IMPORT_S = 1.5
"""What a budget must have left for a rival that needs a library."""

CONTESTS: dict[str, str] = {
    "classifier": f"{_HERE}.classes:ClassifierContest",
    "language_model": f"{_HERE}.text:TextContest",
    "next_step": f"{_HERE}.frames:FramesContest",
    "seq2seq": f"{_HERE}.pairs:PairsContest",
    "tagger": f"{_HERE}.tags:TaggerContest",
}
"""By `model.kind`: what is compared, and by which figure."""

RIVALS: dict[str, list[str]] = {
    "classifier": [
        f"{_HERE}.classes:MostFrequent",
        f"{_HERE}.linear:SummaryLinear",
        f"{_HERE}.nearest:NearestNeighbour",
        f"{_HERE}.linear:NbSvm",
        f"{_HERE}.linear:TfidfLogistic",
        f"{_HERE}.nearest:NearestWarped",
    ],
    "language_model": [f"{_HERE}.text:Frequencies", f"{_HERE}.text:KneserNey"],
    "next_step": [f"{_HERE}.frames:NoteFrequencies", f"{_HERE}.frames:FrameBefore"],
    "seq2seq": [f"{_HERE}.pairs:MostFrequentAnswer", f"{_HERE}.pairs:Copy", f"{_HERE}.pairs:TokenByToken"],
    "tagger": [f"{_HERE}.tags:MostFrequentTag", f"{_HERE}.tags:TagOfWord", f"{_HERE}.tags:WindowLogistic"],
}
"""By `model.kind`: the simple methods, the cheapest first."""


@dataclass(frozen=True)
class Entry:
    """One method. seconds: of training, none where not known; num_rows: training rows (or tokens) it learnt from;
    latency_ms: median of single answers; gap: by how much the run's model is better than this one, none for itself."""

    name: str
    about: str
    metrics: Metrics
    seconds: float | None
    num_bytes: int
    latency_ms: float
    num_rows: int
    details: str = ""
    gap: Gap | None = None


@dataclass(frozen=True)
class Baselines:
    """What a comparison found.

    figure: the metric that decides; num_units: validation `unit`s; num_train: what there was to learn from; budget_s:
    what rivals were given together; own: the run's model; rivals: the others; passed_over: those not tried, and why;
    steps: of training, when it was measured; conclusion: in one sentence.
    """

    figure: str
    lower_is_better: bool
    unit: str
    question: str
    num_units: int
    num_train: int
    budget_s: float
    own: Entry
    rivals: list[Entry]
    passed_over: list[str]
    steps: int
    conclusion: str

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def save(self, folder: Path) -> None:
        """Write `baselines.json` into a run directory."""
        write_atomically(folder / BASELINES_FILE, json.dumps(self.to_dict(), indent=1, ensure_ascii=False).encode())


def has_contest(kind: str) -> bool:
    """Whether a category has rivals."""
    return kind in CONTESTS


def compare_with_baselines(
    model: nn.Module,
    prepared: Prepared,
    device: torch.device,
    summary: dict[str, Any],
    budget_s: float,
    say: Callable[[str], None],
) -> Baselines:
    """Train the rivals of a run's category on its training data, and score all on its validation data.

    Rivals are tried in order while the budget lasts; one that would take longer than what is left learns from as many
    rows as fit into it, and says so. What costs next to nothing is always tried.

    Args:
        model: the run's.
        prepared: its data.
        device: where the model is.
        summary: of its training: seconds and steps.
        budget_s: seconds for all rivals together, >= 0.
        say: is told what happens.

    Raises:
        RunError: for a category without rivals.
    """
    kind = prepared.recipe.model.kind
    if kind not in CONTESTS:
        raise RunError(f"there are no baselines yet for a {kind.replace('_', ' ')}.")
    contest: Contest = _load(CONTESTS[kind])(model, prepared, device)
    own_scores = contest.scores(contest.own())
    own = Entry(
        "this model",
        f"{prepared.recipe.model.cell}, {prepared.recipe.model.num_layers} × {prepared.recipe.model.hidden_size}",
        _plain(own_scores.metrics),
        summary.get("seconds"),
        sum(p.numel() * p.element_size() for p in model.parameters()),
        _latency(contest, contest.own_one),
        _size(contest),
    )
    watch, rivals, passed_over = Stopwatch(), [], []
    for reference in RIVALS.get(kind, []):
        made: type[Rival] = _load(reference)
        if not made.applies(prepared):
            continue
        reason = _obstacle(made, prepared, budget_s - watch.seconds)
        if reason:
            passed_over.append(f"{made.name}: {reason}")
            continue
        say(f"baseline: {made.name}")
        rivals.append(_try(made(), contest, budget_s - watch.seconds, own_scores.blocks))
    return Baselines(
        contest.figure,
        contest.lower_is_better,
        contest.unit,
        contest.question,
        contest.num_units,
        _size(contest),
        budget_s,
        own,
        rivals,
        passed_over,
        int(summary.get("steps", 0)),
        conclude(contest.figure, contest.lower_is_better, own, rivals, contest.num_units, contest.unit),
    )


def _load(reference: str) -> Any:
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def _obstacle(rival: type[Rival], prepared: Prepared, left_s: float) -> str | None:
    """Why a rival is not tried."""
    if rival.modules and find_spec("sklearn") is None:
        return "scikit-learn is not installed (pip install 'ostinato[baselines]')"
    if rival.trivial:
        return None
    needed = rival.seconds(prepared) + (_IMPORT_S if rival.modules and "sklearn" not in sys.modules else 0.0)
    if left_s <= 0:
        return "the budget was spent"
    if needed > left_s:
        return f"it would take about {needed:.0f} s, and {left_s:.0f} s of the budget were left"
    return None


def _try(rival: Rival, contest: Contest, left_s: float, own: Figures) -> Entry:
    """Fit, answer and measure one rival."""
    for module in rival.modules:
        import_module(module)
    size = _size(contest)
    share = size
    if not rival.trivial and size > 2 * _PILOT_ROWS and isinstance(contest.train, Examples):
        pilot = Stopwatch()
        rival.fit(contest.some(_PILOT_ROWS), contest.prepared.features)
        a_row = pilot.seconds / _PILOT_ROWS
        share = min(size, max(_PILOT_ROWS, int((left_s - pilot.seconds) / max(a_row, 1e-9))))
    watch = Stopwatch()
    rival.fit(contest.train if share >= size else contest.some(share), contest.prepared.features)
    seconds = watch.seconds
    scores = contest.scores(rival.answer(contest.validation))
    return Entry(
        rival.name,
        rival.about,
        _plain(scores.metrics),
        seconds,
        rival.num_bytes,
        _latency(contest, rival.answer),
        share,
        rival.details,
        paired_gap(own, scores.blocks, lower_is_better=contest.lower_is_better),
    )


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
