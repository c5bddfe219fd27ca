"""The model for new data, which has learnt from the validation rows, too, once these have said how good it is."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ostinato.data.dataset import Prepared
from ostinato.errors import CheckpointError
from ostinato.recipe import Recipe, apply_overrides, build_recipe
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.training.checkpoint import read_checkpoint
from ostinato.training.loop import Trainer
from ostinato.training.position import Position
from ostinato.training.progress import Observer
from ostinato.training.run_folder import MODEL_FILE, VALIDATED_FILE
from ostinato.training.weights import load_weights, save_tensors, weights_of

_FOLDER = "refit"
_SPARE = 0.5
"""Share of a budget of minutes that the first training may have taken, so that a second one fits into it."""


class _Seen(Observer):
    """Hands on how far a second training is, but no figures of validation rows: it learns from them.

    Args:
        observer: of the run.
    """

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def start(self, step: int, total_steps: float, recipe: Recipe) -> None:
        """As the run's."""
        self._observer.start(step, total_steps, recipe)

    def step(self, event: dict[str, Any], progress: float) -> None:
        """As the run's."""
        self._observer.step(event, progress)

    def stop(self, position: Position) -> None:
        """As the run's."""
        self._observer.stop(position)


def refit(trainer: Trainer, prepared: Prepared) -> str:
    """Refit a run's model as `training.refit` says, with what was decided about it; how, in words, or nothing.

    `model.safetensors` then is of all rows. What it was before, as far as that differs, is `validated.safetensors`: the
    run's figures are of that model, and its validation rows are only ever answered by it.

    Args:
        trainer: that has trained; its model is changed.
        prepared: the run's data.

    Raises:
        KeyboardInterrupt: for Ctrl-C; what is trained by then is kept in the run, to be resumed.
    """
    recipe, folder = prepared.recipe, trainer.folder
    (folder / VALIDATED_FILE).unlink(missing_ok=True)
    how = recipe.training.refit
    if how == "none" or recipe.data.fold is not None:  # a fold is scored by what has never seen it
        return ""
    before = {name: tensor.cpu().clone() for name, tensor in weights_of(trainer.model).items()}
    whole = replace(prepared, train=prepared.whole)
    minutes = recipe.training.max_minutes
    again = how == "all" and (minutes is None or trainer.position.elapsed_s <= _SPARE * 60 * minutes)
    if again:
        _train(trainer, whole)
    task = task_of(recipe)
    solved = (not again or bool(task.apart)) and task.solve(trainer.model, whole, trainer.device)
    if not (again or solved):
        return ""
    after = weights_of(trainer.model)
    save_tensors(folder / VALIDATED_FILE, {name: one for name, one in before.items() if not _equal(one, after[name])})
    save_tensors(folder / MODEL_FILE, after)
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)
    what = "it is trained again" if again else "what is solved for is solved again"
    return f"for new data {what} with what validated it, too; all figures of the run are of the model before"


def _equal(first: Tensor, second: Tensor) -> bool:
    return torch.equal(first, second.cpu())


def _train(trainer: Trainer, whole: Prepared) -> None:
    """Train the model again from the beginning, for as many steps, but for what is solved for apart from it; resumed
    where that was interrupted."""
    steps = {"training.steps": trainer.position.step, "training.epochs": None, "training.max_minutes": None}
    settings = {**steps, "training.clock": "wall", "training.patience": None, "training.keep": "last"}
    recipe, spec = build_recipe(apply_overrides(whole.recipe.model_dump(), settings)), task_of(whole.recipe)
    recipe = recipe.model_copy(update={"model": recipe.model.model_copy(update=dict(spec.apart))})
    whole, folder = replace(whole, recipe=recipe), trainer.folder / _FOLDER
    torch.manual_seed(recipe.training.seed)
    model = spec.build(recipe, whole.features).to(trainer.device)
    task = training_of(spec, model, whole, trainer.device)
    folder.mkdir(exist_ok=True)
    again = Trainer(recipe, model, task, folder, _Seen(trainer.observer), trainer.device)
    again.origin = {"recipe": recipe.model_dump(mode="json"), "data": trainer.origin["data"]}
    _go_on(again)
    trainer.observer.note("refit: all is trained again, with the validation rows, too")
    again.run()
    if again.interrupted:
        raise KeyboardInterrupt(str(trainer.folder))
    load_weights(trainer.model, weights_of(trainer.model) | weights_of(model), folder / MODEL_FILE)


def _go_on(again: Trainer) -> None:
    """From the newest checkpoint, if it is of this very training."""
    try:
        checkpoint = read_checkpoint(again.folder)
    except CheckpointError:
        return
    if all(checkpoint.state[name] == value for name, value in again.origin.items()):
        again.restore(checkpoint)
    else:
        shutil.rmtree(again.folder)
        again.folder.mkdir()
