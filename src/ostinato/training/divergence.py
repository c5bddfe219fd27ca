"""The error for a loss or gradient that is not finite."""

from __future__ import annotations

import torch
from torch import nn

from ostinato.errors import RunError
from ostinato.training.position import Position


def all_finite(model: nn.Module) -> bool:
    """Whether no weight is infinite or NaN."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters())


def divergence(what: str, position: Position, model: nn.Module, where: str, rate: float) -> RunError:
    """The error: what is not finite, at which step and epoch, on which data, and the first parameter it is seen in;
    `rate`: the learning rate of the recipe."""
    return RunError(
        f"{what} at step {position.step + 1} (epoch {position.epoch + 1}): training has diverged, on {where}"
        f"{_first_parameter(model)}. The last checkpoint precedes it.",
        hint=f"slower: --set training.learning_rate={rate / 10:g}; to roll back automatically: --set "
        "training.on_divergence=rollback",
    )


def _first_parameter(model: nn.Module) -> str:
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return f"; the first parameter that is not finite is `{name}`"
    for name, parameter in model.named_parameters():
        if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
            return f"; the first parameter whose gradient is not finite is `{name}`"
    sizes = {name: float(p.grad.abs().max()) for name, p in model.named_parameters() if p.grad is not None}
    if not sizes:
        return ""
    name = max(sizes, key=lambda each: sizes[each])  # finite entries whose squares add up to infinity
    return f"; the largest gradient is that of `{name}`, {sizes[name]:.3g}"
