"""Which cell remembers what, how far back, at what cost: one trial per task, cell and length, with its diagnosis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from ostinato import cells
from ostinato.errors import RecipeError
from ostinato.longrange.fitting import Outcome, Say, Training, fit
from ostinato.longrange.model import ModelSettings, SequenceModel, make_model
from ostinato.longrange.registry import TASKS, find, one_of
from ostinato.longrange.task import Task
from ostinato.storage.files import json_ready

DEFAULT_TASKS = ("adding", "copy", "selective-copy", "recall", "parity", "mod5", "s3")
DEFAULT_CELLS = ("lstm", "gru", "elman")
_NUM_DIAGNOSED = 8
"""Rows: with more, the medians of gradients and exponents move by a few percent only."""


@dataclass(frozen=True)
class Trial:
    """One line of the benchmark.

    Args:
        length: trained and validated at.
        test_length: scored at.
        baseline: the loss without memory, in nats or squared units.
        horizon_steps: back to which 99 % of the gradient of the recurrent weights comes from, the largest of all
            layers and directions; None: not measured, for the model has diverged.
        lyapunov: the largest exponent, in nats a step.
        regime: vanishing, near-critical or exploding, of the layer with that exponent.
    """

    task: str
    cell: str
    length: int
    test_length: int
    metric: str
    baseline: float
    outcome: Outcome
    horizon_steps: int | None = None
    lyapunov: float | None = None
    regime: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, the outcome's among them; what is not finite is None."""
        mapping = asdict(self)
        mapping |= mapping.pop("outcome")
        mapping["metric_name"], mapping["metric"] = self.metric, self.outcome.metric
        return json_ready(mapping)


def run_benchmark(
    tasks: Sequence[str],
    names: Sequence[str],
    lengths: Sequence[int],
    model: ModelSettings,
    training: Training,
    seed: int = 0,
    say: Say = lambda _: None,
) -> Iterator[Trial]:
    """Every task with every cell at every length, each trial as it ends; tasks with one length are run at that.

    Args:
        tasks: names of tasks.
        names: of cells; that in `model` is not read.
        lengths: in steps, as each task counts them.
        model: sizes and initial weights of all models.
        training: of all models.
        seed: of weights and data.
        say: called with progress messages.

    Raises:
        RecipeError: before anything is trained, if a task or cell is unknown, or a length does not exist.
    """
    for what, given in (("tasks", tasks), ("cells", names), ("lengths", lengths)):
        if not given:
            raise RecipeError(f"`{what}` must name at least one. Received: none.")
    for name in tasks:
        one_of(name, TASKS, "tasks")
    for name in names:
        one_of(name, cells.names(), "cells")
    plan = [(find(task), name, length) for task in tasks for length in _lengths(task, lengths) for name in names]
    for task, _, length in plan:
        task.check_length(length)
    return _run(plan, model, training, seed, say)


def _run(
    plan: list[tuple[Task, str, int]], model: ModelSettings, training: Training, seed: int, say: Say
) -> Iterator[Trial]:
    for number, (task, name, length) in enumerate(plan, 1):
        say(f"{number}/{len(plan)}: {task.name}, {name}, length {length}")
        yield run_trial(task.name, length, replace(model, cell=name), training, seed, say=say)


def run_trial(
    task: str,
    length: int,
    settings: ModelSettings,
    training: Training,
    seed: int = 0,
    *,
    test_length: int | None = None,
    say: Say = lambda _: None,
) -> Trial:
    """Train one model, score it, and diagnose it on validation data of the length it was trained at."""
    found = find(task)
    made = make_model(found, settings, seed)
    outcome = fit(made, length, training, seed, test_length=test_length, say=say)
    tested = length if test_length is None else test_length
    trial = Trial(task, settings.cell, length, tested, found.metric, found.baseline(tested), outcome)
    return trial if outcome.diverged else _diagnosed(trial, made, seed)


def _diagnosed(trial: Trial, model: SequenceModel, seed: int) -> Trial:
    from ostinato.diagnostics import gradient_by_lag, lyapunov_exponents

    model.eval()
    batch = model.task.batch(trial.length, _NUM_DIAGNOSED, 0, seed, split="validation")
    subject = model.subject(batch)
    with torch.random.fork_rng(devices=[]):
        gradients = gradient_by_lag(subject)
        largest = max(lyapunov_exponents(subject, num_exponents=1), key=lambda one: one.exponents_nats_per_step[0])
    return replace(
        trial,
        horizon_steps=max(one.horizon_steps for one in gradients),
        lyapunov=largest.exponents_nats_per_step[0],
        regime=largest.regime,
    )


def _lengths(task: str, lengths: Sequence[int]) -> Iterable[int]:
    only = find(task).only_length
    return lengths if only is None else (only,)


HEADINGS = (
    "task",
    "cell",
    "length",
    "solved",
    "steps",
    "CPU s",
    "wall s",
    "test figure",
    "loss without memory",
    "gradient horizon",
    "Lyapunov",
    "regime",
)
"""Of the table; see `cells_of`."""


def cells_of(trial: Trial) -> list[str]:
    """One row of the table, a text for each heading."""
    outcome = trial.outcome
    length = f"{trial.length:,}" + (f" → {trial.test_length:,}" if trial.test_length != trial.length else "")
    figure = "diverged" if outcome.diverged else f"{outcome.metric:.2g}"
    if trial.metric == "accuracy" and not outcome.diverged:
        figure = f"{100 * outcome.metric:.1f} %"
    return [
        trial.task,
        trial.cell,
        length,
        "yes" if outcome.solved else "no",
        f"{outcome.steps:,}",
        f"{outcome.cpu_s:.0f}",
        f"{outcome.wall_s:.0f}",
        figure,
        f"{trial.baseline:.3f} {'nats' if trial.metric == 'accuracy' else 'mse'}",
        "–" if trial.horizon_steps is None else f"{trial.horizon_steps:,} steps",
        "–" if trial.lyapunov is None else f"{trial.lyapunov:+.4f}",
        trial.regime or "–",
    ]


def markdown(trials: Sequence[Trial], description: str) -> str:
    """A page with the table: what was run, then a line a trial."""
    lines = [f"# Long-range tasks\n\n{description}\n", f"| {' | '.join(HEADINGS)} |", "|---" * len(HEADINGS) + "|"]
    lines += [f"| {' | '.join(cells_of(trial))} |" for trial in trials]
    return "\n".join(lines) + "\n"
