"""The weights that each half of the validation data would have chosen, so that the other half can score the choice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ostinato.metrics.resampling import SUMS, Sums, halves
from ostinato.recipe import LOWER_IS_BETTER, TrainingRecipe
from ostinato.training.weights import load_tensors, save_tensors, weights_of

HALVES_FILE = "halves.safetensors"
_MOST_WEIGHTS = 25_000_000


class Halves:
    """The best weights by each half of the validation units, `metrics.resampling.halves`.

    An epoch that was the best of many on some rows looks better on them than it is: on coin flips by four points. What
    was chosen on the one half and scored on the other is not flattered (cross-fitting; Varma and Simon 2006, "Bias in
    error estimation when using cross-validation for model selection"). Kept where `training.keep` chooses, the watched
    figure is a sum over units, and the model has at most 25 million weights.

    Args:
        training: the recipe's section.
        model: that is trained.
    """

    def __init__(self, training: TrainingRecipe, model: nn.Module) -> None:
        self._monitor = training.monitor
        size = sum(parameter.numel() for parameter in model.parameters())
        self._kept = training.keep == "best" and size <= _MOST_WEIGHTS
        self._chosen: list[dict[str, Tensor]] = [{}, {}]
        self._best = [math.inf, math.inf]
        self._sums: list[Tensor | None] = [None, None]
        """What the watched figure is made of on the other half, by the weights that each half has chosen."""
        self.crossfitted: float | None = None
        """The watched figure of all units, each scored by what the other half has chosen; none while that is not
        known."""

    def see(self, metrics: Mapping[str, Any], model: nn.Module) -> None:
        """Keep the weights if they are the best so far on a half; metrics: of all validation data."""
        sums: Sums | None = metrics.get(SUMS)
        if not self._kept or sums is None or self._monitor not in sums.names:
            return
        first, sign = halves(len(sums.values)), 1.0 if self._monitor in LOWER_IS_BETTER else -1.0
        for place, among in enumerate((first, ~first)):
            cost = sign * sums.of(self._monitor, among) if among.any() else math.nan
            if cost < self._best[place]:
                self._best[place] = cost
                self._chosen[place] = {name: one.cpu().clone() for name, one in weights_of(model).items()}
                self._sums[place] = torch.from_numpy(sums.values[~among].sum(axis=0))
        figure = sums.figures.get(self._monitor)
        if figure is not None and self._sums[0] is not None and self._sums[1] is not None:
            self.crossfitted = float(figure((self._sums[0] + self._sums[1]).numpy()))

    def tensors(self) -> dict[str, Tensor]:
        """All that is known, for a checkpoint."""
        if not any(self._chosen):
            return {}
        found = {"best": torch.tensor(self._best, dtype=torch.float64), **self._weights()}
        found |= {f"sums{place}": one for place, one in enumerate(self._sums) if one is not None}
        if self.crossfitted is not None:
            found["crossfitted"] = torch.tensor(self.crossfitted, dtype=torch.float64)
        return found

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.forget()
        if "best" in tensors:
            self._best = tensors["best"].tolist()
            self._chosen = [_half(tensors, place) for place in range(2)]
            self._sums = [tensors.get(f"sums{place}") for place in range(2)]
            self.crossfitted = float(tensors["crossfitted"]) if "crossfitted" in tensors else None

    def forget(self) -> None:
        """The next validation is the best so far."""
        self._best, self._chosen = [math.inf, math.inf], [{}, {}]
        self._sums, self.crossfitted = [None, None], None

    def save(self, folder: Path) -> None:
        """Write `halves.safetensors` into a run directory, where both halves have chosen."""
        if all(self._chosen):
            save_tensors(folder / HALVES_FILE, self._weights())
        else:
            (folder / HALVES_FILE).unlink(missing_ok=True)

    def _weights(self) -> dict[str, Tensor]:
        return {f"{place}.{name}": one for place, own in enumerate(self._chosen) for name, one in own.items()}


def weights_of_halves(folder: Path) -> list[dict[str, Tensor]]:
    """What `Halves.save` wrote, of the first half and of the second; nothing where it wrote nothing."""
    path = folder / HALVES_FILE
    if not path.is_file():
        return []
    tensors = load_tensors(path)
    return [_half(tensors, place) for place in range(2)]


def _half(tensors: Mapping[str, Tensor], place: int) -> dict[str, Tensor]:
    return {name[2:]: one for name, one in tensors.items() if name.startswith(f"{place}.")}
