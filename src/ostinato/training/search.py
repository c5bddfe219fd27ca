"""The configuration that suits the data best, of a task's portfolio: successive halving inside the training part."""

from __future__ import annotations

import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.rejects import counted
from ostinato.errors import RecipeError, RunError
from ostinato.recipe import LOWER_IS_BETTER, Recipe, apply_overrides, build_recipe
from ostinato.tasks.memory import check_memory
from ostinato.tasks.planning import paths_of, with_all
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.training.loop import Trainer
from ostinato.training.progress import Observer

_FOLDER = "search"
_AS_PLANNED = "as planned"


@dataclass(frozen=True)
class Found:
    """recipe: with what was chosen; note: what that is; interrupted: whether Ctrl-C ended the search, so that it is the
    best so far."""

    recipe: Recipe
    note: str
    interrupted: bool


@dataclass(frozen=True)
class Search:
    r"""Train the plan and its alternatives for a short time each, the better half for twice as long, and so on.

    Of n candidates each has :math:`2^{-\lceil \log_2 n \rceil}` of the budget of steps in the first round, with a
    schedule of its own; its folds share as large a part of `training.max_minutes`. They are scored by
    `training.monitor` on training rows that are held out (`TaskSpec.folds`). The run's validation rows have no part in
    it. A linear score beside the recurrent layers is left out, as it would be the same for all.

    Source: Jamieson and Talwalkar 2016, "Non-stochastic best arm identification and hyperparameter optimization",
    arXiv:1502.07943. Deviation: a candidate begins again in each round, since its learning rate falls to zero.

    Args:
        prepared: of a planned recipe.
        candidates: what is tried, by name, the plan first.
        folds: training rows to learn from, and others to be scored.
    """

    prepared: Prepared
    candidates: Mapping[str, Recipe]
    folds: Sequence[tuple[Examples, Examples]]

    @classmethod
    def of(cls, prepared: Prepared, asked: Recipe) -> Search | None:
        """Of what a user left open; None where the recipe asks for none.

        Args:
            prepared: of a planned recipe.
            asked: the recipe as it was given, which says what a user set: that stands.

        Raises:
            RecipeError: where nothing is left to try.
            DataError: where there are too few rows to hold some out.
        """
        recipe, task, said = prepared.recipe, task_of(prepared.recipe), set(paths_of(asked.said))
        if recipe.training.search == "none":
            return None
        portfolio = task.portfolio(recipe)
        others = {name: with_all(recipe, options) for name, options in portfolio.items() if said.isdisjoint(options)}
        left = {name: other for name, other in others.items() if other != recipe}
        if not left:
            keys = ", ".join(key for options in portfolio.values() for key in options) or "no alternative is known"
            raise RecipeError(
                f"`training.search` has nothing to try: all that it would change is set, or ruled out ({keys}).",
                hint="without: --set training.search=none",
            )
        return cls(prepared, {_AS_PLANNED: recipe, **left}, list(task.folds(prepared)))

    def run(self, folder: Path, observer: Observer, device: torch.device) -> Found:
        """Find the best.

        Args:
            folder: the run directory; trials stand in its folder `search` while they are trained.
            observer: receives the figure of each.
            device: where to train.
        """
        left, best, count, interrupted = list(self.candidates), _AS_PLANNED, len(self.candidates), False
        for halvings in range(math.ceil(math.log2(count)), 0, -1):
            is_first = len(left) == len(self.candidates)
            costs, interrupted = self._round(left, halvings, folder / _FOLDER, observer, device)
            order = sorted(costs, key=costs.__getitem__)
            if order and (is_first or not interrupted):
                best = order[0]
            if interrupted:
                break
            count = len(order) if is_first else count
            left = order[: (len(order) + 1) // 2]
            if len(left) < 2:
                break
        shutil.rmtree(folder / _FOLDER, ignore_errors=True)
        note = f"search: {best}, of {counted(count, 'configuration')}" + ", so far: interrupted" * interrupted
        observer.note(note)
        chosen = self.candidates[best]
        said_of = {"training.plan": f"{chosen.training.plan}; {note}", "training.search": "none"}
        return Found(build_recipe(apply_overrides(chosen.model_dump(), said_of)), note, interrupted)

    def _round(
        self, names: Sequence[str], halvings: int, folder: Path, observer: Observer, device: torch.device
    ) -> tuple[dict[str, float], bool]:
        """What candidates cost, by name, without those that memory does not allow; and whether Ctrl-C ended it."""
        costs, task, monitor = dict[str, float](), task_of(self.prepared.recipe), self.prepared.recipe.training.monitor
        sign = 1.0 if monitor in LOWER_IS_BETTER else -1.0
        try:
            for name in names:
                try:
                    check_memory(task, self.candidates[name], self.prepared.features)
                    figure, steps = self._score(self._trial(self.candidates[name], halvings), folder, device)
                except RecipeError as error:
                    observer.note(f"search: {name} is left out: {error.message}")
                    continue
                costs[name] = sign * figure if math.isfinite(figure) else math.inf
                observer.note(f"search: {name}, {monitor} {figure:.4g} after {counted(steps, 'step')}")
        except KeyboardInterrupt:
            return costs, True
        return costs, False

    def _trial(self, recipe: Recipe, halvings: int) -> Recipe:
        """A candidate's short training."""
        training = recipe.training
        minutes = None if training.max_minutes is None else training.max_minutes / len(self.folds) / 2**halvings
        budget = {"training.steps": max(1, (training.steps or 1) >> halvings), "training.max_minutes": minutes}
        always = {"training.keep": "last", "training.refit": "none", "training.patience": None}
        short = build_recipe(apply_overrides(recipe.model_dump(), budget | always | {"training.search": "none"}))
        return short.model_copy(update={"model": short.model.model_copy(update=dict(task_of(short).trial))})

    def _score(self, recipe: Recipe, folder: Path, device: torch.device) -> tuple[float, int]:
        """The watched figure of a candidate on held-out training rows, the mean of the folds, and after how many steps
        that was (of a fold with the fewest). Raises `KeyboardInterrupt` after Ctrl-C."""
        figures, steps, task, features = list[float](), list[int](), task_of(recipe), self.prepared.features
        for train, held_out in self.folds:
            inner = replace(self.prepared, recipe=recipe, train=train, validation=held_out)
            torch.manual_seed(recipe.training.seed)
            model = task.build(recipe, features).to(device)
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            trainer = Trainer(recipe, model, training_of(task, model, inner, device), folder, Observer(), device)
            try:
                steps.append(trainer.run().step)
            except RunError:  # it diverged
                return math.nan, trainer.position.step
            if trainer.interrupted:
                raise KeyboardInterrupt
            metrics = task.monitor(model, held_out, features, recipe, device)
            figures.append(float(metrics[recipe.training.monitor]))
        return float(np.mean(figures)), min(steps)
