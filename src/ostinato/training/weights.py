"""Weights to and from safetensors files, written so that a crash or a full disk leaves the old file whole."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ostinato.errors import CheckpointError, RunError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a file with `content`: written beside it, flushed to the disk, then renamed.

    Raises `CheckpointError` where the disk refuses; what stood at `path` before is then untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def disk_error(path: Path, error: OSError) -> CheckpointError:
    """The error to raise when `path` could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reason = "the disk is full" if full else (error.strerror or str(error))
    hint = "free some space, then go on with `ostinato train --resume RUN`" if full else None
    return CheckpointError(f"can't write `{path}`: {reason}. What was saved before is untouched.", hint=hint)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, tied ones once."""
    return {name: p.detach().contiguous() for name, p in model.named_parameters()}


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors atomically."""
    write_atomically(path, save({name: tensor.contiguous().cpu() for name, tensor in tensors.items()}))


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read tensors. Raises `RunError` for a missing, truncated or foreign file."""
    try:
        return load_file(path)
    except FileNotFoundError as error:
        raise RunError(f"`{path}` is missing.") from error
    except (SafetensorError, OSError) as error:
        raise RunError(f"`{path}` is damaged or no safetensors file: {error}.") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], source: Path) -> None:
    """Copy tensors into the model's parameters. Raises `RunError` unless names and shapes are the model's own."""
    parameters = dict(model.named_parameters())
    if set(parameters) != set(tensors):
        missing, extra = sorted(set(parameters) - set(tensors)), sorted(set(tensors) - set(parameters))
        raise RunError(f"`{source}` does not fit the recipe's model: missing {missing[:3]}, not expected {extra[:3]}.")
    with torch.no_grad():
        for name, parameter in parameters.items():
            if parameter.shape != tensors[name].shape:
                found, expected = tuple(tensors[name].shape), tuple(parameter.shape)
                raise RunError(
                    f"`{source}` does not fit the recipe's model: `{name}` has shape {found}, not {expected}."
                )
            parameter.copy_(tensors[name])
