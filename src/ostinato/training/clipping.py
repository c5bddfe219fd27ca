"""Gradient clipping, and the norm before it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ostinato.recipe import TrainingRecipe


def clip_gradients(parameters: Iterable[nn.Parameter], recipe: TrainingRecipe) -> tuple[float, bool]:
    """Clip in place as `clip` says, with c = `max_norm`: norm: g ← g · min(1, c / ‖g‖₂) over all parameters together;
    value: each entry into [-c, c]; none: nothing.

    Source: Pascanu, Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    Returns:
        The norm before clipping, and whether anything was changed.
    """
    with_gradient = [p for p in parameters if p.grad is not None]
    gradients = [p.grad for p in with_gradient if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    if recipe.clip == "norm":
        torch.nn.utils.clip_grads_with_norm_(with_gradient, recipe.max_norm, norm)
        return float(norm), float(norm) > recipe.max_norm
    if recipe.clip == "value":
        largest = max((float(g.abs().max()) for g in gradients), default=0.0)
        torch.nn.utils.clip_grad_value_(with_gradient, recipe.max_norm)
        return float(norm), largest > recipe.max_norm
    return float(norm), False
