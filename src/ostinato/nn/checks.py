"""What a recurrent layer checks before it computes, and the texts of its complaints."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor

from ostinato.cells import Cell
from ostinato.cells.registry import check_takes
from ostinato.errors import ArgumentError, ArgumentTypeError, ShapeError
from ostinato.types import State


def check_positive(**sizes: Any) -> None:
    """Raise unless every named size is an integer of at least one."""
    for name, size in sizes.items():
        whole = isinstance(size, int) and not isinstance(size, bool)
        if not whole or size < 1:
            error = ArgumentError if whole else ArgumentTypeError
            raise error(f"`{name}` must be a positive integer. Received: {size!r}.")


def check_flags(**flags: Any) -> None:
    """Raise unless every named flag is True or False."""
    for name, flag in flags.items():
        if not isinstance(flag, bool):
            raise ArgumentTypeError(
                f"`{name}` must be True or False. Received: {flag!r}.",
                hint="check the order of the positional arguments, or name them.",
            )


def check_precision(precision: Any) -> None:
    """Raise unless ``precision`` is one that a recurrent layer knows."""
    if precision not in ("full", "bf16"):
        raise ArgumentError(f"`precision` must be full or bf16. Received: {precision!r}.")


def check_probability(**probabilities: Any) -> None:
    """Raise unless every named probability lies in [0, 1]."""
    for name, probability in probabilities.items():
        number = isinstance(probability, int | float) and not isinstance(probability, bool)
        if not number or not 0.0 <= probability <= 1.0:
            raise ArgumentError(f"`{name}` must be a probability from 0 to 1. Received: {probability!r}.")


def check_dropout(dropout: Any, num_layers: int, stacklevel: int) -> None:
    """Raise unless ``dropout`` is a probability; warn where it has no layers to act between."""
    check_probability(dropout=dropout)
    if dropout > 0 and num_layers == 1:
        warnings.warn(
            f"`dropout` acts between layers, so it has no effect with one layer. Received: dropout={dropout}, "
            "num_layers=1.",
            stacklevel=stacklevel,
        )


def check_zoneout(zoneout: Any, names: tuple[str, ...]) -> tuple[float, ...]:
    """One probability for each of ``names``, the tensors of the state, out of one for all or one each."""
    if not isinstance(zoneout, tuple | list):
        check_probability(zoneout=zoneout)
        return (float(zoneout),) * len(names)
    if len(zoneout) != len(names):
        raise ArgumentError(
            f"`zoneout` must be one probability, or one for each tensor of the state: {', '.join(names)}. "
            f"Received: {zoneout!r}."
        )
    for probability in zoneout:
        check_probability(zoneout=probability)
    return tuple(float(probability) for probability in zoneout)


def check_regularisers(cell: Cell, recurrent_dropout: Any, weight_dropout: Any) -> None:
    """Raise unless both are probabilities, and zero where they are not defined for ``cell``."""
    check_probability(recurrent_dropout=recurrent_dropout, weight_dropout=weight_dropout)
    for option, probability in (("recurrent_dropout", recurrent_dropout), ("weight_dropout", weight_dropout)):
        if probability:
            check_takes(cell, option, probability)


def check_projection(cell: Cell, size: Any, hidden_size: int) -> None:
    """Raise unless ``cell`` can project its output of ``hidden_size`` features to ``size``, 0 for none."""
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < hidden_size:
        raise ArgumentError(
            f"`proj_size` must be an integer from 0 (none) to less than `hidden_size` = {hidden_size}. "
            f"Received: {size!r}."
        )
    if size:
        check_takes(cell, "proj_size", size)


def check_features(values: Tensor, size: int, name: str, dtype: torch.dtype, device: torch.device) -> None:
    """Raise unless ``values`` has ``size`` features on its last axis, and the dtype and device of the weights."""
    if values.dim() == 0 or values.shape[-1] != size:
        raise ShapeError(
            f"the last axis of the input must have `{name}` = {size} features. Received: shape {tuple(values.shape)}."
        )
    if values.device != device:
        raise ShapeError(
            f"the input must be on the device of the weights, {device}. Received: {values.device}.",
            hint=f"input.to({str(device)!r}) moves it.",
        )
    if values.dtype != dtype and not torch.is_autocast_enabled(device.type):
        raise ShapeError(
            f"the input must have the dtype of the weights, {dtype}. Received: {values.dtype}.",
            hint=f"input.to({dtype}) converts it, or layer.to({values.dtype}) the layer."
            if values.dtype.is_floating_point
            else "embed or encode integer ids first.",
        )


def check_axes(values: Tensor, allowed: tuple[int, ...] = (2, 3)) -> None:
    """Raise unless the number of axes is one of those."""
    if values.dim() not in allowed:
        raise ShapeError(
            f"the input must have 3 axes, or 2 for one row without a batch axis. Received: shape {tuple(values.shape)}."
            if 3 in allowed
            else f"packed values must have 2 axes, (sum L, I). Received: shape {tuple(values.shape)}."
        )


def check_ids(ids: Tensor, vocab_size: int) -> None:
    """Raise a ShapeError unless ``ids`` are integers from 0 to ``vocab_size`` - 1.

    The range is looked at on the CPU only: elsewhere that would wait for the device, which checks it itself.
    """
    if ids.is_floating_point() or ids.is_complex() or ids.dtype == torch.bool:
        raise ShapeError(f"ids must be integers. Received: {ids.dtype}.")
    looks = ids.device.type == "cpu" and not torch.compiler.is_compiling()
    if looks and ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < vocab_size:
        raise ShapeError(
            f"ids must run from 0 to `vocab_size` - 1 = {vocab_size - 1}. "
            f"Received: {int(ids.min())} to {int(ids.max())}."
        )


def check_state(hx: Tensor | State, names: tuple[str, ...], shapes: tuple[tuple[int, ...], ...], like: Tensor) -> State:
    """``hx`` as a tuple of one tensor for each of ``names``, after checking shape, dtype and device."""
    states = (hx,) if isinstance(hx, Tensor) else tuple(hx)
    wanted = ", ".join(f"{name}_0" for name in names)
    if len(states) != len(names):
        raise ShapeError(
            f"`hx` must be {'the tensor' if len(names) == 1 else 'the tuple'} {wanted}. "
            f"Received: {len(states)} tensor{'s' if len(states) != 1 else ''}."
        )
    for name, state, shape in zip(names, states, shapes, strict=True):
        if tuple(state.shape) != shape:
            raise ShapeError(
                f"`{name}_0` must have shape (D*num_layers, N, H) = {shape}. Received: {tuple(state.shape)}."
                if len(shape) == 3
                else f"`{name}_0` must have shape (D*num_layers, H) = {shape}. Received: {tuple(state.shape)}."
            )
        mixed = state.dtype != like.dtype and not torch.is_autocast_enabled(like.device.type)
        if mixed or state.device != like.device:
            raise ShapeError(
                f"`{name}_0` must have the dtype and device of the input, {like.dtype} on {like.device}. "
                f"Received: {state.dtype} on {state.device}."
            )
    return states
