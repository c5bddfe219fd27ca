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
from ostinato.recipe import Recipe, TrainingRecipe
from ostinato.storage.files import write_atomically
from ostinato.storage.log import RunLog
from ostinato.training.checkpoint import Checkpoint, write_checkpoint
from ostinato.training.clipping import clip_gradients
from ostinato.training.position import Position
from ostinato.training.progress import Observer
from ostinato.training.schedule import learning_rate
from ostinato.training.tasks import Task
from ostinato.training.weights import save_tensors, weights_of

MODEL_FILE = "model.safetensors"


class Trainer:
    """Trains a model on a task in a run directory.

    Args:
        recipe: resolved.
        model: its weights are changed; on return they are the best ones by `training.monitor`.
        task: batches, loss, evaluation.
        folder: the run directory.
        observer: is told what happens.
        device: where the model is.
    """

    def __init__(
        self, recipe: Recipe, model: nn.Module, task: Task, folder: Path, observer: Observer, device: torch.device
    ) -> None:
        self.recipe, self.training = recipe, recipe.training
        self.model, self.task, self.folder, self.observer, self.device = model, task, folder, observer, device
        self.optimizer = make_optimizer(model, recipe.training)
        self.position = Position()
        self.log = RunLog(folder / "log.jsonl")
        self._interrupted = False
        self._started = self._last_checkpoint = time.monotonic()
        self._elapsed_before = 0.0

    @property
    def total_steps(self) -> int:
        """Steps of the whole budget of epochs."""
        return self.training.epochs * self.task.num_batches

    def run(self) -> Position:
        """Train until the budget is spent, patience ends, or Ctrl-C; a checkpoint is left behind in every case."""
        self._started = self._last_checkpoint = time.monotonic()
        self._elapsed_before = self.position.elapsed_s
        self.model.train()
        self.observer.start(self.position.step, self.total_steps, self.recipe)
        with self._signals():
            while not self.position.ended and not self._interrupted:
                self._epoch()
        self.checkpoint()
        self.observer.stop(self.position)
        return self.position

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C (or SIGTERM) ended `run`."""
        return self._interrupted

    def _epoch(self) -> None:
        for batch in self.task.batches(self.position.epoch, self.position.batch):
            self._step(batch)
            if self._interrupted or self._time_is_up():
                break
            if time.monotonic() - self._last_checkpoint > 60 * self.training.checkpoint_minutes:
                self.checkpoint()
        if self._interrupted:
            return
        self._validate()
        if not self._time_is_up():
            self.position.epoch += 1
            self.position.batch = 0
        self._decide_whether_to_go_on()

    def _step(self, batch: object) -> None:
        began = time.perf_counter()
        position = self.position
        rate = learning_rate(self.training, position.step, self._progress())
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        value, num_tokens = self.task.backward(batch)
        norm, clipped = clip_gradients(self.model.parameters(), self.training)
        if not math.isfinite(value) or not math.isfinite(norm):
            raise RunError(
                f"the loss is {value} and the gradient's norm {norm} at step {position.step + 1} "
                f"(epoch {position.epoch + 1}): training has diverged. The last checkpoint is from before.",
                hint="lower `training.learning_rate` or `training.max_norm`, or add `training.warmup_steps`",
            )
        self.optimizer.step()
        position.step += 1
        position.batch += 1
        position.elapsed_s = self._elapsed()
        event = {
            "step": position.step,
            "epoch": position.epoch + 1,
            "loss": value,
            "gradient_norm": norm,
            "clipped": clipped,
            "learning_rate": rate,
            "tokens_per_s": num_tokens / (time.perf_counter() - began),
            "elapsed_s": position.elapsed_s,
        }
        self.log.write("step", event)
        self.observer.step(event, self._progress())

    def _validate(self) -> None:
        result = self.task.evaluate()
        position = self.position
        position.elapsed_s = self._elapsed()
        figure = float(result[self.training.monitor])
        sign = 1.0 if self.training.monitor == "loss" else -1.0
        better = position.best is None or sign * figure < sign * position.best
        if better:
            position.best, position.best_epoch, position.epochs_without_gain = figure, position.epoch, 0
            save_tensors(self.folder / MODEL_FILE, weights_of(self.model))
        else:
            position.epochs_without_gain += 1
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

    def _decide_whether_to_go_on(self) -> None:
        position, patience = self.position, self.training.patience
        if self._time_is_up():
            position.ended = f"{self.training.max_minutes:g} minutes are over"
        elif position.epoch >= self.training.epochs:
            position.ended = f"all of training.epochs = {self.training.epochs} are done"
        elif patience is not None and position.epochs_without_gain >= patience:
            position.ended = f"no better validation {self.training.monitor} for training.patience = {patience}"

    def _elapsed(self) -> float:
        return self._elapsed_before + time.monotonic() - self._started

    def _time_is_up(self) -> bool:
        limit = self.training.max_minutes
        return limit is not None and self._elapsed() >= 60 * limit

    def _progress(self) -> float:
        """Share of the budget that is spent: of steps or, with `max_minutes`, of time, whichever is further."""
        steps = self.position.step / max(self.total_steps, 1)
        return max(steps, self._elapsed() / (60 * self.training.max_minutes)) if self.training.max_minutes else steps

    def checkpoint(self) -> None:
        """Write everything needed to go on exactly."""
        self.log.flush()
        tensors: dict[str, Tensor] = {f"model.{name}": tensor for name, tensor in weights_of(self.model).items()}
        tensors |= optimizer_tensors(self.model, self.optimizer)
        tensors |= {f"carried.{name}": tensor for name, tensor in self.task.carried().items()}
        tensors |= random_tensors(self.device)
        state: dict[str, Any] = {"position": dataclasses.asdict(self.position), "log_bytes": self.log.size}
        write_checkpoint(self.folder, self.position.step, tensors, state)
        self._last_checkpoint = time.monotonic()

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go back to where a checkpoint was written."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "carried": {}, "random": {}}
        for name, tensor in checkpoint.tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = tensor
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(parts["model"][name])
        restore_optimizer(self.model, self.optimizer, parts["optimizer"])
        self.task.restore(parts["carried"])
        restore_random(parts["random"], self.device)
        self.position = Position(**checkpoint.state["position"])
        self.log.cut(int(checkpoint.state["log_bytes"]))
        if checkpoint.best is not None:
            write_atomically(self.folder / MODEL_FILE, checkpoint.best.read_bytes())

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


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015; weight decay as an L2 penalty) or AdamW (Loshchilov & Hutter 2019; decoupled)."""
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    optimizer: torch.optim.Optimizer = kind(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, recipe.beta2),
        weight_decay=recipe.weight_decay,
        fused=True,
    )
    return optimizer


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as tensors named `optimizer.PARAMETER.ENTRY`."""
    found: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for entry, value in optimizer.state.get(parameter, {}).items():
            found[f"optimizer.{name}.{entry}"] = value
    return found


def restore_optimizer(model: nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """The inverse of `optimizer_tensors`."""
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        parameter, _, entry = name.rpartition(".")
        target = parameters[parameter]
        optimizer.state[target][entry] = value.to(target.device) if value.dim() else value


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """The state of torch's random generators."""
    states = {"random.cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["random.cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(tensors: dict[str, Tensor], device: torch.device) -> None:
    """The inverse of `random_tensors`."""
    torch.set_rng_state(tensors["cpu"])
    if device.type == "cuda" and "cuda" in tensors:
        torch.cuda.set_rng_state(tensors["cuda"], device)
