"""Training on a task until it is solved or the budget is spent, and the one score at the end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import nn

from ostinato.errors import RecipeError
from ostinato.longrange.model import SequenceModel
from ostinato.longrange.task import Batch, Split, Task
from ostinato.nn.modes import evaluating
from ostinato.recipe import TrainingRecipe
from ostinato.training.schedule import learning_rate

_MARGIN = 0.1
"""Training ends when the validation figure is this share of the way beyond the threshold, so that fresh data agree."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Curriculum:
    """Short sequences first: the length grows once a stretch of batches went well enough.

    Source: the naive curriculum of W. Zaremba and I. Sutskever, "Learning to Execute" (2014), arXiv:1410.4615, section
    4, on length.

    Args:
        first: the length to begin with.
        reached: the metric, averaged over recent batches (weights 0.95^k), from which the length grows.
        factor: what it is multiplied by, up to the length of the task; > 1.
    """

    first: int
    reached: float
    factor: float = 2.0


@dataclass(frozen=True)
class Training:
    """How a model is trained: Adam on mean losses, whole sequences back-propagated.

    Args:
        batch_size: rows.
        learning_rate: of Adam, after the warm-up.
        beta2: of Adam.
        schedule: `constant`, `linear` or `cosine` over whichever budget is nearer its end; with a curriculum, over
            what is left of it when the whole length is reached.
        warmup_steps: of the rate.
        max_norm: the gradient is scaled down to it.
        max_minutes: budget, in minutes of processor time, validation included.
        max_steps: budget, in steps; none: minutes alone.
        shortest: rows of unequal length from this on; none: all of one length.
        curriculum: none: the whole length from the beginning.
        evaluate_every: steps between validations at the whole length, each a chance to stop because it is solved.
        confirmations: validations in a row that must find it solved before training stops.
        num_evaluated: rows of generated validation and test data.
    """

    batch_size: int = 32
    learning_rate: float = 3e-3
    beta2: float = 0.999
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_steps: int = 0
    max_norm: float = 1.0
    max_minutes: float = 1.0
    max_steps: int | None = None
    shortest: int | None = None
    curriculum: Curriculum | None = None
    evaluate_every: int = 100
    confirmations: int = 1
    num_evaluated: int = 1000


@dataclass
class Outcome:
    """The outcome; seconds of processor and wall time, validations included.

    Args:
        solved: whether the test figure reaches the threshold.
        metric: the test figure, on data that neither training nor stopping has seen.
        validation: the figure that ended training, or the last one.
        diverged: whether training stopped at a loss that was no number.
        length: steps of the longest rows trained on, as the task counts them.
    """

    steps: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0
    solved: bool = False
    metric: float = math.nan
    validation: float = math.nan
    diverged: bool = False
    length: int = 0


@dataclass
class _Clock:
    """Time spent, without what is not the training's."""

    cpu_0: float = field(default_factory=time.process_time)
    wall_0: float = field(default_factory=time.monotonic)

    def write(self, outcome: Outcome) -> None:
        outcome.cpu_s = time.process_time() - self.cpu_0
        outcome.wall_s = time.monotonic() - self.wall_0


def fit(
    model: SequenceModel,
    length: int,
    training: Training,
    seed: int = 0,
    *,
    test_length: int | None = None,
    say: Say = lambda _: None,
) -> Outcome:
    """Train in place until the validation data are solved or the budget is spent; then score the test data, once.

    Args:
        model: knows its task.
        length: to train and validate at.
        training: how.
        seed: of the data.
        test_length: to score at; none: `length`.
        say: called with a progress message at each validation.

    Raises:
        RecipeError: for a length that the task does not have, or an invalid budget.
    """
    _check(model.task, length, test_length, training)
    recipe = TrainingRecipe(
        learning_rate=training.learning_rate, schedule=training.schedule, warmup_steps=training.warmup_steps
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=training.learning_rate, betas=(0.9, training.beta2), fused=True)
    clock, outcome = _Clock(), Outcome(length=length)
    current = length if training.curriculum is None else min(training.curriculum.first, length)
    recent: float | None = None
    passed, begun = 0, 0.0
    while (spent := _spent(outcome, training)) < 1.0:
        if current < length:
            begun = spent
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(recipe, outcome.steps, (spent - begun) / (1.0 - begun))
        batch = model.task.batch(current, training.batch_size, outcome.steps, seed, shortest=training.shortest)
        figure = _step(model, batch, optimizer, training.max_norm)
        if math.isnan(figure):
            outcome.diverged = True
            break
        outcome.steps += 1
        clock.write(outcome)
        recent = figure if recent is None else 0.95 * recent + 0.05 * figure
        if training.curriculum is not None and current < length and _good(model.task, recent, training.curriculum):
            current = min(length, math.ceil(current * training.curriculum.factor))
            say(f"step {outcome.steps}: length {current}")
            recent = None
        elif current == length and outcome.steps % training.evaluate_every == 0:
            outcome.validation = evaluate(model, length, training.num_evaluated, "validation", seed)
            clock.write(outcome)
            say(f"step {outcome.steps}: {model.task.metric} {outcome.validation:.4g} after {outcome.cpu_s:.0f} s")
            passed = passed + 1 if model.task.solved(outcome.validation, _MARGIN) else 0
            if passed == training.confirmations and not model.task.num_held_out:
                break
    if not outcome.diverged:
        outcome.metric = evaluate(model, test_length or length, training.num_evaluated, "test", seed)
    outcome.solved = model.task.solved(outcome.metric)
    outcome.length = current
    return outcome


@torch.no_grad()
def evaluate(model: SequenceModel, length: int, num_rows: int, split: Split, seed: int = 0) -> float:
    """The task's metric over `num_rows` rows of a split, or over all where the data have an end."""
    task = model.task
    num_rows = task.num_held_out.get(split, num_rows)
    size = max(1, min(num_rows, 500, 500_000 // task.num_steps(length)))
    total, count = 0.0, 0
    with evaluating(model):
        for index in range(math.ceil(num_rows / size)):
            batch = task.batch(length, size, index, seed, split=split)
            total += task.score(model(batch.inputs), batch.targets) * batch.inputs.num_rows
            count += batch.inputs.num_rows
    return total / count


def _step(model: SequenceModel, batch: Batch, optimizer: torch.optim.Optimizer, max_norm: float) -> float:
    """One update; the batch's metric, or NaN without an update where loss or gradient is no number."""
    optimizer.zero_grad()
    output = model(batch.inputs)
    loss = model.task.loss(output, batch.targets)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(model.parameters(), max_norm)
    if not bool(torch.isfinite(norm)) or not bool(torch.isfinite(loss)):
        return math.nan
    optimizer.step()
    return model.task.score(output, batch.targets)


def _good(task: Task, recent: float, curriculum: Curriculum) -> bool:
    return recent < curriculum.reached if task.metric == "mse" else recent >= curriculum.reached


def _spent(outcome: Outcome, training: Training) -> float:
    """The share of the budget that is spent, by the one nearer its end."""
    steps = outcome.steps / training.max_steps if training.max_steps else 0.0
    return max(steps, outcome.cpu_s / (60.0 * training.max_minutes))


def _check(task: Task, length: int, test_length: int | None, training: Training) -> None:
    task.check_length(length)
    task.check_length(length if test_length is None else test_length)
    if not training.max_minutes > 0:
        raise RecipeError(f"`minutes` must be a positive number. Received: {training.max_minutes}.")
    firsts = {"shortest": training.shortest}
    if training.curriculum is not None:
        firsts["curriculum.first"] = training.curriculum.first
    for name, first in firsts.items():
        if first is not None:
            task.check_length(first)
            if first > length:
                raise RecipeError(f"`{name}` must be at most the length, {length}. Received: {first}.")
    if training.shortest is not None and training.curriculum is not None:
        raise RecipeError(
            "`shortest` and `curriculum` both choose lengths: give one of them. "
            f"Received: {training.shortest} and {training.curriculum.first}."
        )
