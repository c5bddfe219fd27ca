"""How long a run trains: steps, epochs, minutes, or several, whichever end first."""

from __future__ import annotations

import math

from ostinato.recipe import TrainingRecipe
from ostinato.training.position import Position

_AHEAD = 0.05
_VALIDATIONS = 20
"""Of a budget of steps: epochs may be so short that scoring would cost more than training."""


class Budget:
    """The budget of a recipe for epochs of so many steps.

    Args:
        training: the recipe's section.
        num_batches: steps of an epoch.
    """

    def __init__(self, training: TrainingRecipe, num_batches: int) -> None:
        self._training, self._num_batches = training, num_batches
        of_epochs = training.epochs * num_batches if training.epochs is not None else math.inf
        self.total_steps: float = min(training.steps or math.inf, of_epochs)
        """Steps of the whole budget; infinite where it is one of time alone."""
        self._seconds = 60 * training.max_minutes if training.max_minutes is not None else math.inf

    def is_spent(self, position: Position, elapsed_s: float) -> bool:
        """Whether it ends here, perhaps within an epoch."""
        return position.step >= (self._training.steps or math.inf) or elapsed_s >= self._seconds

    def ended(self, position: Position, elapsed_s: float) -> str:
        """Why training is over, at the end of an epoch or where it is spent; empty while it is not."""
        training = self._training
        if elapsed_s >= self._seconds:
            return f"training.max_minutes = {training.max_minutes:g} reached"
        if position.step >= (training.steps or math.inf):
            return f"training.steps = {training.steps} reached"
        if position.epoch >= (training.epochs or math.inf):
            return f"training.epochs = {training.epochs} reached"
        if training.patience is not None and position.epochs_without_gain >= training.patience:
            return f"no better {training.monitor} for training.patience = {training.patience} epochs"
        return ""

    def progress(self, position: Position, elapsed_s: float) -> float:
        """Share of it that is spent: of steps or, with `max_minutes`, of time, whichever is further.

        Beside a budget of steps, time that is ahead by less than a twentieth counts for nothing: where it does not end
        the run, it does not decide its weights.
        """
        ahead = _AHEAD if self._training.steps is not None else 0.0
        time = (elapsed_s / self._seconds - ahead) / (1 - ahead)
        return max(position.step / max(self.total_steps, 1), time)

    def validation_is_due(self, position: Position) -> bool:
        """Whether an epoch at its end is scored: each; of a budget of steps, some of them and the last."""
        if self._training.steps is None or position.epoch + 1 >= (self._training.epochs or math.inf):
            return True
        every = max(1, self._training.steps // _VALIDATIONS)
        return position.step // every > (position.step - self._num_batches) // every
