"""Moments of a track whose loss reaches far back: where the gradient at a lag is largest."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from ostinato.data.dataset import Examples
from ostinato.diagnostics.gradients import row_gradients
from ostinato.diagnostics.validation import examples_for
from ostinato.errors import RecipeError, RunError
from ostinato.exploration.attribution import initial_states
from ostinato.exploration.track import Track
from ostinato.nn.modes import evaluating
from ostinato.probes.part import MOST_STEPS
from ostinato.probes.subject import Subject
from ostinato.tasks.generation import OpenRun
from ostinato.tasks.probing import Reading
from ostinato.tasks.registry import task_of

NUM_TRIED = 96
_ANSWERS = 8
"""Of a row that has several."""


@dataclass(frozen=True)
class Reach:
    """A loss, and what it owes to a state so many steps before it.

    Args:
        at: the step that the loss is of.
        step: the step after which the state stands.
        norm: of the loss's gradient there, in units of that at the last layer's output.
        around: what stands around `at`.
    """

    at: int
    step: int
    norm: float
    around: str


@dataclass(frozen=True)
class Reaching:
    """The moments whose loss reaches furthest at a lag.

    Args:
        layer: `layer 1`, `layer 1 reverse`, …
        lag: steps.
        moments: the largest norm first.
        num_tried: losses that were looked at, evenly spaced.
        typical: geometric mean of their norms, as the diagnosis draws it.
    """

    layer: str
    lag: int
    moments: list[Reach]
    num_tried: int
    typical: float

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def reaching(
    run: OpenRun,
    track: Track,
    lag: int,
    *,
    layer: str = "layer 1",
    count: int = 12,
    num_tried: int = NUM_TRIED,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Reaching:
    """Where in a track the gradient of the loss at a lag is largest, of losses at even distances.

    Of a text the loss is that of a step, which is reached from `lag` + 1 steps before it; of a model that answers rows,
    or each of their steps, that of an answer, and the track must be of the run's validation data.

    Args:
        run: whose track it is.
        track: of it.
        lag: as of `diagnostics.gradient_by_lag`, >= 0.
        layer: by the name that the diagnosis gives it.
        count: moments, >= 1.
        num_tried: losses to look at, >= 1.
        progress: called with losses that are done, and how many there are; what it raises ends the work.

    Raises:
        RecipeError: for a number out of range, a layer that is not there, or a lag that no row reaches.
        RunError: for rows that the track has no answers of.
    """
    for name, value, least in (("lag", lag, 0), ("count", count, 1), ("num_tried", num_tried, 1)):
        if value < least:
            raise RecipeError(f"`{name}` must be at least {least}. Received: {value}.")
    found = list[Reach]()
    with evaluating(run.model):
        is_text = _is_text(run, track)
        stretches = (_windows if is_text else _rows)(run, track, lag, num_tried)
        for done, (examples, first) in enumerate(stretches):
            progress(done, len(stretches))
            subject = _subject(run, examples, lag + 1)
            if is_text:
                subject = replace(subject, initial=initial_states(track, first, subject))
            length = len(examples.sequences.values)
            for at, step, norm in _reached(subject, lag, layer, is_text):
                if max(at, step) < length:
                    found.append(Reach(first + at, first + step, norm, track.exploration.around(first + at)))
    progress(len(stretches), len(stretches))
    if not found:
        raise RecipeError(f"`lag` must be one that a row reaches. Received: {lag}.")
    norms = np.asarray([one.norm for one in found if one.norm > 0])
    typical = float(np.exp(np.log(norms).mean())) if len(norms) else 0.0
    return Reaching(layer, lag, sorted(found, key=lambda one: -one.norm)[:count], len(found), typical)


def _windows(run: OpenRun, track: Track, lag: int, num_tried: int) -> list[tuple[Examples, int]]:
    """The steps that each of some losses reaches back to, that of the loss among them, and the first of them."""
    found = _some(np.flatnonzero(track.exploration.columns["position"] > lag), num_tried)
    return [(track.examples(at - lag - 1, at + 1), at - lag - 1) for at in found]


def _rows(run: OpenRun, track: Track, lag: int, num_tried: int) -> list[tuple[Examples, int]]:
    """Some whole rows, and the first step of each."""
    lengths = np.bincount(track.rows)
    begins = np.cumsum(lengths) - lengths
    there = (lengths > lag) & (lengths <= MOST_STEPS)
    if not task_of(run.recipe).needs_targets:
        chosen = _some(np.flatnonzero(there), num_tried)
        return [(track.examples(int(begins[row]), int(begins[row] + lengths[row])), int(begins[row])) for row in chosen]
    rows = examples_for(run.folder, run.recipe, run.features, None)
    known = rows.sequences.lengths[: len(lengths)]
    if len(known) < len(lengths) or not np.array_equal(known[:-1], lengths[:-1]):
        raise RunError("the track must be of the run's validation data, whose answers are known.")
    chosen = _some(np.flatnonzero(there & (known == lengths)), num_tried)
    return [(rows.take(np.asarray([row])), int(begins[row])) for row in chosen]


def _some(places: np.ndarray[Any, np.dtype[np.int64]], count: int) -> list[int]:
    """At even distances."""
    if not len(places):
        return []
    found: list[int] = places[np.unique(np.linspace(0, len(places) - 1, count).round().astype(int))].tolist()
    return found


def _is_text(run: OpenRun, track: Track) -> bool:
    """Whether each step has a loss that any stretch before it can be read for."""
    if task_of(run.recipe).needs_targets:
        return False
    windows = _windows(run, track, 1, 1)
    subjects = [_subject(run, examples, 2) for examples, _ in windows]
    return all(one.inputs.lengths.tolist() == [2] and one.per_step for one in subjects) and bool(subjects)


def _subject(run: OpenRun, examples: Examples, num_steps: int) -> Subject:
    spec = task_of(run.recipe)
    reading = Reading(spec, run.model, examples, run.features, run.recipe)
    return spec.probes(reading, num_steps)[0].make(_ANSWERS, 0)


def _reached(subject: Subject, lag: int, layer: str, is_text: bool) -> list[tuple[int, int, float]]:
    """Of each answer: its step, that of the state so many steps before it, and the gradient's norm there.

    Raises:
        RecipeError: for a layer that is not there.
    """
    layers = {one.trace.layer: one for one in row_gradients(subject)}
    if layer not in layers:
        raise RecipeError(f"`layer` must be one of {', '.join(layers)}. Received: {layer[:80]!r}.")
    gradients = layers[layer]
    states = gradients.states
    norms, lengths = states.with_values(states.values.norm(dim=1)).row_major(), states.lengths
    starts = lengths.cumsum(0) - lengths
    answered = subject.inputs.lengths - 1 if subject.places is None else subject.places
    found = list[tuple[int, int, float]]()
    for start, length, answer in zip(starts.tolist(), lengths.tolist(), answered.tolist(), strict=True):
        if lag < length:
            from_end = gradients.trace.reverse and subject.places is None
            step = lag if from_end else answer + lag if gradients.trace.reverse else answer - lag
            found.append((answer + is_text, step, float(norms[start + lag])))
    return found
