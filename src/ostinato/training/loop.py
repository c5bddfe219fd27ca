"""The training loop, in named steps: batch → loss → gradients → clip → update → log, validated once an epoch."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.errors import RunError
from ostinato.recipe import LOWER_IS_BETTER, Recipe
from ostinato.storage.files import write_atomically
from ostinato.storage.log import RunLog
from ostinato.tasks.monitors import check_monitor
from ostinato.tasks.training import TrainingTask
from ostinato.training.budget import Budget
from ostinato.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from ostinato.training.clipping import Clipper
from ostinato.training.divergence import all_finite, divergence
from ostinato.training.halves import Halves
from ostinato.training.position import Position
from ostinato.training.progress import Observer
from ostinato.training.run_folder import LOG_FILE, MODEL_FILE
from ostinato.training.saved import make_optimizer, optimizer_tensors, random_tensors, restore_optimizer, restore_random
from ostinato.training.schedule import learning_rate
from ostinato.training.weights import save_tensors, weights_of

_MOST_ROLLBACKS = 5
CLOCKS = {"wall": time.monotonic, "processor": time.process_time}
"""Seconds, by `training.clock`."""


class Trainer:
    """Trains a model on a task in a run directory.

    Args:
        recipe: resolved.
        model: its weights are changed; on return they are the best ones by `training.monitor`.
        task: batches, loss, evaluation.
        folder: the run directory.
        observer: receives progress.
        device: where the model is.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: nn.Module,
        task: TrainingTask,
        folder: Path,
        observer: Observer,
        device: torch.device,
    ) -> None:
        self.recipe, self.training = recipe, recipe.training
        self.model, self.task, self.folder, self.observer, self.device = model, task, folder, observer, device
        self.optimizer = make_optimizer(model, recipe.training)
        self.clipper = Clipper(model, recipe.training)
        self.budget = Budget(recipe.training, task.num_batches)
        self.halves = Halves(recipe.training, model)
        self.position = Position()
        self.notes: list[str] = []
        """What `summary.json` will say of the data and of what was forced; saved with every checkpoint."""
        self.origin: dict[str, Any] = {}
        """The recipe and a description of the data; saved with every checkpoint."""
        self.log = RunLog(folder / LOG_FILE)
        self._interrupted = False
        self._clock = CLOCKS[self.training.clock]
        self._started, self._elapsed_before = self._clock(), 0.0
        self._last_checkpoint = time.monotonic()

    def run(self) -> Position:
        """Train until the budget is spent, patience ends, or Ctrl-C; a checkpoint is left behind in every case."""
        self._started, self._elapsed_before = self._clock(), self.position.elapsed_s
        self._last_checkpoint = time.monotonic()
        self.model.train()
        self.observer.start(self.position.step, self.budget.total_steps, self.recipe)
        if self.position.step == 0:
            self.checkpoint()  # so that there is one to resume from, whenever the run dies
        with self._signals():
            while not self.position.ended and not self._interrupted:
                self._epoch()
        self.checkpoint()
        self.observer.stop(self.position)
        return self.position

    @property
    def machine(self) -> str:
        """What the last bits of a result depend on."""
        return f"torch {torch.__version__}, {torch.get_num_threads()} threads, {self.device.type}"

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C (or SIGTERM) ended `run`."""
        return self._interrupted

    def _epoch(self) -> None:
        for batch in self.task.batches(self.position.epoch, self.position.batch):
            if not self._step(batch):
                return
            if self._interrupted or self._is_spent():
                break
            if self._checkpoint_is_due():
                self.checkpoint()
        spent = self._is_spent()
        due = spent or self.budget.validation_is_due(self.position)
        if self._interrupted or (due and not self._validate()):
            return
        if not spent:
            self.position.epoch += 1
            self.position.batch = 0
        if due:
            self.position.ended = self.budget.ended(self.position, self._elapsed())

    def _step(self, batch: object) -> bool:
        """One update; False where it diverged and training went back to a checkpoint."""
        began = time.perf_counter()
        position = self.position
        rate = position.rate_factor * learning_rate(self.training, position.step, self._progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        value, num_tokens = self.task.backward(batch)
        clipped = self.clipper()
        if not math.isfinite(value) or not math.isfinite(clipped.norm):
            what = f"the loss is {value} and the gradient's norm {clipped.norm}"
            self._go_back(self._diverged(what, self.task.where(batch)))
            return False
        self.optimizer.step()
        position.step += 1
        position.batch += 1
        position.elapsed_s = self._elapsed()
        event = {
            "step": position.step,
            "epoch": position.epoch + 1,
            "loss": value,
            **clipped.event(),
            "learning_rate": rate,
            "tokens_per_s": num_tokens / (time.perf_counter() - began),
            "elapsed_s": position.elapsed_s,
        }
        self.log.write("step", event)
        self.observer.step(event, self._progress())
        return True

    def _validate(self) -> bool:
        """Score the validation data, and keep the weights that `training.keep` says; False where training went back."""
        result = self.task.evaluate()
        position = self.position
        if not math.isfinite(float(result["loss"])) or not all_finite(self.model):
            what = f"the validation loss is {result['loss']}"
            self._go_back(self._diverged(what, "all of the validation data"))
            return False
        position.elapsed_s = self._elapsed()
        check_monitor(self.training.monitor, result)
        figure = float(result[self.training.monitor])
        sign = 1.0 if self.training.monitor in LOWER_IS_BETTER else -1.0
        better = position.best is None or sign * figure < sign * position.best
        if better:
            position.best, position.epochs_without_gain = figure, 0
        else:
            position.epochs_without_gain += 1
        if better or self.training.keep == "last":
            position.best_epoch = position.epoch
            save_tensors(self.folder / MODEL_FILE, weights_of(self.model))
        self.halves.see(result, self.model)
        brief = {key: value for key, value in result.items() if isinstance(value, (int, float))}
        event = {
            "step": position.step,
            "epoch": position.epoch + 1,
            "best": better,
            "elapsed_s": position.elapsed_s,
            **brief,
        }
        self.log.write("validation", event)
        self.observer.validation(event)
        return True

    def _diverged(self, what: str, where: str) -> RunError:
        return divergence(what, self.position, self.model, where, self.training.learning_rate)

    def _go_back(self, problem: RunError) -> None:
        """After a divergence: to the last checkpoint, from where the learning rate is lower.

        Raises `problem` if the recipe says stop, or this has happened too often.
        """
        if self.training.on_divergence == "stop":
            raise problem
        step, rollbacks = self.position.step, self.position.num_rollbacks + 1
        factor = self.position.rate_factor * self.training.rollback_factor
        if rollbacks > _MOST_ROLLBACKS:
            raise RunError(f"after {_MOST_ROLLBACKS} rollbacks still: {problem.message}", hint=problem.hint)
        self.restore(read_checkpoint(self.folder))
        self.position.num_rollbacks, self.position.rate_factor = rollbacks, factor
        back = f"rolled back from step {step} to {self.position.step}, learning rate multiplied by {factor:g}"
        text = f"{back}: {problem.message}"
        self.log.write("note", {"step": self.position.step, "note": text})
        self.observer.note(text)
        self.checkpoint()

    def _elapsed(self) -> float:
        return self._elapsed_before + self._clock() - self._started

    def _is_spent(self) -> bool:
        return self.budget.is_spent(self.position, self._elapsed())

    def _progress(self) -> float:
        return self.budget.progress(self.position, self._elapsed())

    def _checkpoint_is_due(self) -> bool:
        every = self.training.checkpoint_steps
        if every is not None and self.position.step % every == 0:
            return True
        return time.monotonic() - self._last_checkpoint > 60 * self.training.checkpoint_minutes

    def checkpoint(self) -> None:
        """Write everything needed to go on exactly; nothing where the weights are not finite, which the next step or
        validation will tell."""
        if not all_finite(self.model):
            return
        self.log.flush(durable=True)
        tensors: dict[str, Tensor] = {f"model.{name}": tensor for name, tensor in weights_of(self.model).items()}
        tensors |= optimizer_tensors(self.model, self.optimizer)
        tensors |= {f"carried.{name}": tensor for name, tensor in self.task.carried().items()}
        tensors |= {f"halves.{name}": tensor for name, tensor in self.halves.tensors().items()}
        tensors |= {f"clip.{name}": tensor for name, tensor in self.clipper.tensors().items()}
        tensors |= random_tensors(self.device)
        state = {
            **self.origin,
            "position": dataclasses.asdict(self.position),
            "log_bytes": self.log.size,
            "notes": self.notes,
            "machine": self.machine,
        }
        best = None if self.position.best is None else self.folder / MODEL_FILE
        write_checkpoint(self.folder, self.position.step, tensors, state, best, self.training.keep_checkpoints)
        self._last_checkpoint = time.monotonic()

    def forget_best(self) -> None:
        """The next validation is the best so far: figures before it are of other data, or of another kind."""
        self.position.best, self.position.best_epoch, self.position.epochs_without_gain = None, -1, 0
        self.halves.forget()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        names = ("model", "optimizer", "carried", "clip", "random", "halves")
        parts: dict[str, dict[str, Tensor]] = {name: {} for name in names}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(parts["model"][name])
        restore_optimizer(self.model, self.optimizer, parts["optimizer"])
        self.task.restore(parts["carried"])
        self.clipper.restore(parts["clip"])
        self.halves.restore(parts["halves"])
        restore_random(parts["random"], self.device)
        self.position, self.notes = Position(**checkpoint.state["position"]), list(checkpoint.state["notes"])
        size = int(checkpoint.state["log_bytes"])
        if self.log.size < size:
            self.observer.note(f"`{self.log.path}` is shorter than it was: it has lost its last lines")
        self.log.cut(size)
        model = self.folder / MODEL_FILE
        if checkpoint.best is None:  # what is there is of a validation that is still to come
            model.unlink(missing_ok=True)
        elif not model.is_file() or model.read_bytes() != checkpoint.best.read_bytes():
            write_atomically(model, checkpoint.best.read_bytes())

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM end the run after the step in hand; a second Ctrl-C ends it at once."""

        def interrupt(number: int, _frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True

        try:
            before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
        except ValueError:  # not the main thread: Python delivers no signals here
            yield
            return
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
