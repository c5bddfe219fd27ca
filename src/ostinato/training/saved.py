"""The parts of a run's state as named tensors, and back: optimiser, random generators."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.recipe import TrainingRecipe


def make_optimizer(model: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Adam (Kingma & Ba 2015; weight decay as an L2 penalty) or AdamW (Loshchilov & Hutter 2019; decoupled)."""
    make = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[recipe.optimizer]
    optimizer: torch.optim.Optimizer = make(
        [parameter for parameter in model.parameters() if parameter.requires_grad],
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
    """The inverse of `optimizer_tensors`: what the optimiser knew before is forgotten."""
    optimizer.state.clear()
    parameters = dict(model.named_parameters())
    for name, value in tensors.items():
        parameter, _, entry = name.rpartition(".")
        target = parameters[parameter]
        optimizer.state[target][entry] = value.to(target.device)


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
