"""The configuration that suits the data best, of a task's portfolio: successive halving inside the training part."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.rejects import counted
from ostinato.data.split import split_fold
from ostinato.data.targets import NamesTarget
from ostinato.errors import RunError
from ostinato.recipe import LOWER_IS_BETTER, Recipe, apply_overrides, build_recipe
from ostinato.tasks.planning import with_all
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.training.loop import CLOCKS, Trainer
from ostinato.training.progress import Observer

_FOLDER = "search"
_FOLDS, _FEW_FOLDS, _FEW = 5, 3, 500
"""Parts of the training rows, of which the first is held out; of fewer than so many rows each in turn."""
_SHARE = 1 / 3
"""Of a budget of minutes, after which no further round begins."""
_AS_PLANNED = "as planned"


@dataclass(frozen=True)
class Found:
    """recipe: with what was chosen; note: what that is; interrupted: whether Ctrl-C ended the search, so that it is the
    best so far."""

    recipe: Recipe
    note: str
    interrupted: bool


def search(prepared: Prepared, said: Set[str], folder: Path, observer: Observer, device: torch.device) -> Found:
    r"""Train the plan and its alternatives for a short time each, the better half for twice as long, and so on.

    Of n candidates each has :math:`2^{-\lceil \log_2 n \rceil}` of the budget of steps in the first round, with a
    schedule of its own. They are scored by `training.monitor` on training rows that are held out: a fifth or, of fewer
    than 500 rows, each third in turn. The run's validation rows have no part in it. A linear score beside the recurrent
    layers is left out, as it would be the same for all. After a third of `training.max_minutes` no further round
    begins.

    Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization",
    arXiv:1502.07943. Deviation: a candidate begins again in each round, since its learning rate falls to zero.

    Args:
        prepared: of a recipe with a budget of steps.
        said: the options that a user has set, which stand.
        folder: the run directory; trials stand in its folder `search` while they are trained.
        observer: receives the figure of each.
        device: where to train.
    """
    recipe, task = prepared.recipe, task_of(prepared.recipe)
    others = task.portfolio(recipe).items()
    options = {_AS_PLANNED: dict[str, Any]()} | {name: dict(one) for name, one in others if said.isdisjoint(one)}
    left = {name: with_all(recipe, changed) for name, changed in options.items()}
    rounds, best, interrupted = math.ceil(math.log2(len(left))), _AS_PLANNED, False
    clock, sign = CLOCKS[recipe.training.clock], 1.0 if recipe.training.monitor in LOWER_IS_BETTER else -1.0
    began, most = clock(), _SHARE * 60 * (recipe.training.max_minutes or math.inf)
    for number in range(rounds):
        steps, scored = max(1, (recipe.training.steps or 1) >> (rounds - number)), dict[str, float]()
        if interrupted or clock() - began > most:
            break
        try:
            for name, candidate in left.items():
                scored[name] = _score(replace(prepared, recipe=_trial(candidate, steps)), folder / _FOLDER, device)
                after = f"after {counted(steps, 'step')}"
                observer.note(f"search: {name}, {recipe.training.monitor} {scored[name]:.4g} {after}")
        except KeyboardInterrupt:
            interrupted = True
        order = sorted(scored, key=lambda name: sign * scored[name] if math.isfinite(scored[name]) else math.inf)
        if order and (number == 0 or not interrupted):
            best = order[0]
        left = {name: left[name] for name in order[: len(left) // 2]}
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)
    note = f"search: {best}, of {len(options)} configurations" + ", so far: interrupted" * interrupted
    observer.note(note)
    said_of = {"training.plan": f"{recipe.training.plan}; {note}", "training.search": "none"}
    chosen = with_all(recipe, options[best])
    return Found(build_recipe(apply_overrides(chosen.model_dump(), said_of)), note, interrupted)


def _trial(recipe: Recipe, steps: int) -> Recipe:
    """A candidate's short training."""
    budget = {"training.steps": steps, "training.epochs": None, "training.max_minutes": None, "training.clock": "wall"}
    always = {"training.keep": "last", "training.refit": "none", "training.patience": None, "training.search": "none"}
    return with_all(build_recipe(apply_overrides(recipe.model_dump(), budget | always)), task_of(recipe).trial)


def _score(prepared: Prepared, folder: Path, device: torch.device) -> float:
    """The watched figure of a candidate on held-out training rows, the mean of the folds. Raises `KeyboardInterrupt`
    after Ctrl-C."""
    figures, recipe = list[float](), prepared.recipe
    task = task_of(recipe)
    for train, held_out in _folds(prepared):
        inner = replace(prepared, train=train, validation=held_out)
        torch.manual_seed(recipe.training.seed)
        model = task.build(recipe, prepared.features).to(device)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        trainer = Trainer(recipe, model, training_of(task, model, inner, device), folder, Observer(), device)
        try:
            trainer.run()
        except RunError:  # it diverged
            return math.inf
        if trainer.interrupted:
            raise KeyboardInterrupt
        metrics = task.monitor(model, held_out, prepared.features, recipe, device)
        figures.append(float(metrics[recipe.training.monitor]))
    return float(np.mean(figures))


def _folds(prepared: Prepared) -> Iterator[tuple[Examples, Examples]]:
    """Training rows to learn from, and others to be scored."""
    rows, target = prepared.train, prepared.features.target
    few = len(rows) < _FEW
    count = _FEW_FOLDS if few else _FOLDS
    classes = isinstance(target, NamesTarget) and np.asarray(rows.targets).ndim == 1
    strata = pl.Series(np.asarray(rows.targets)) if classes else None
    for number in range(1, count + 1 if few else 2):
        learnt, held_out = split_fold(len(rows), number, count, prepared.recipe.data.split_seed, None, strata)
        yield rows.take(learnt), rows.take(held_out)
