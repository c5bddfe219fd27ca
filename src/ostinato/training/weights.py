"""Weights to and from safetensors files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ostinato.errors import RunError
from ostinato.storage.files import write_atomically

_BEFORE = re.compile(r"\bbeside\.")
"""What the layers of covariates are called in version 0.1."""


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, tied ones once."""
    return {name: p.detach().contiguous() for name, p in model.named_parameters()}


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors atomically."""
    write_atomically(path, save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors, by the names of today. Raises `RunError` for a missing, truncated or foreign file."""
    try:
        return {_BEFORE.sub("covariates.", name): tensor for name, tensor in load_file(path).items()}
    except FileNotFoundError as error:
        raise RunError(f"`{path}` is missing.") from error
    except (SafetensorError, OSError) as error:
        raise RunError(f"`{path}` is damaged or no safetensors file: {error}.") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into the model's parameters; an empty one takes the shape of what is saved (counts of a text).

    Raises:
        RunError: unless names and shapes are the model's own.
    """
    parameters = dict(model.named_parameters())
    if set(parameters) != set(tensors):
        missing, extra = sorted(set(parameters) - set(tensors)), sorted(set(tensors) - set(parameters))
        raise RunError(f"`{source}` does not fit the recipe's model: missing {missing[:3]}, not expected {extra[:3]}.")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if not parameter.numel() and not parameter.requires_grad:
                parameter.data = torch.empty_like(tensors[name], device=parameter.device)
            if parameter.shape != tensors[name].shape:
                found, expected = tuple(tensors[name].shape), tuple(parameter.shape)
                raise RunError(
                    f"`{source}` does not fit the recipe's model: `{name}` has shape {found}, not {expected}."
                )
            if not tensors[name].isfinite().all():
                raise RunError(f"`{source}` is damaged: `{name}` holds values that are not finite.")
            parameter.copy_(tensors[name])
