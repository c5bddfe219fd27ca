"""What a form gave, how far that is from the baseline, and how far it may be."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ostinato.errors import RunError
from ostinato.probes.cases import Case, Form

_EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52, torch.bfloat16: 2.0**-7}
_LIMIT = {torch.float32: 0.01, torch.float64: 0.01, torch.bfloat16: 0.25}
_SMALL = 1e-3
"""A gradient is compared relative to its own largest value, or this part of the largest of all gradients: where terms
cancel, rounding is as large as the terms."""


@dataclass(frozen=True)
class Reading:
    """What a form gave: tensors by name."""

    outputs: dict[str, Tensor]
    final_state: dict[str, Tensor] | None
    gradients: dict[str, Tensor] | None


@dataclass(frozen=True)
class Differences:
    """Largest relative differences, and the tensor in which each was found."""

    outputs: float | None
    final_state: float | None
    gradients: float | None
    where: dict[str, str]

    def known(self) -> list[float]:
        """Those that are there."""
        return [each for each in (self.outputs, self.final_state, self.gradients) if each is not None]


def measure(case: Case, form: Form) -> Reading:
    """Run a form; gradients are those of the summed loss by all weights and by what the lowest layer reads and
    begins in."""
    vectors = case.vectors()
    with torch.set_grad_enabled(form.differentiable):
        outputs, states = form.run(case, vectors)
    gradients = None
    if form.differentiable:
        wanted = case.weights() | (case.leaves(vectors) if form.embeds else {})
        found = torch.autograd.grad(
            case.loss(outputs), list(wanted.values()), materialize_grads=True, allow_unused=True
        )
        gradients = dict(zip(wanted, found, strict=True))
    final = None if states is None else {
        f"{name} of layer {number}": part.detach()
        for number, (stack, state) in enumerate(zip(case.stacks, states, strict=True))
        for name, part in zip(stack.cell.state_names, state, strict=True)
    }  # fmt: skip
    return Reading({"": outputs.detach()}, final, gradients)


def differences(found: Reading, baseline: Reading) -> Differences:
    """Largest differences by quantity, each relative to the largest magnitude of the tensor it is in."""
    where: dict[str, str] = {}

    def worst(name: str, ours: dict[str, Tensor] | None, theirs: dict[str, Tensor] | None) -> float | None:
        if ours is None or theirs is None:
            return None
        floor = _SMALL * max(map(_magnitude, theirs.values()), default=0.0) if name == "gradients" else 0.0
        far = {key: _difference(value, theirs[key], floor) for key, value in ours.items()}
        where[name], figure = max(far.items(), key=lambda pair: pair[1], default=("", 0.0))
        return figure

    return Differences(
        worst("outputs", found.outputs, baseline.outputs),
        worst("final state", found.final_state, baseline.final_state),
        worst("gradients", found.gradients, baseline.gradients),
        where,
    )


def _difference(found: Tensor, baseline: Tensor, floor: float) -> float:
    """The largest difference over the largest magnitude of the baseline; infinite if it is no number."""
    if found.shape != baseline.shape:
        return math.inf
    if not found.numel():
        return 0.0
    largest = float((found.to(torch.float64) - baseline.to(torch.float64)).abs().max())
    if not math.isfinite(largest):
        return math.inf
    return largest / (max(_magnitude(baseline), floor) or 1.0)


def _magnitude(tensor: Tensor) -> float:
    return float(tensor.abs().max()) if tensor.numel() else 0.0


def tolerance(dtype: torch.dtype, depth: int, distance: float) -> float:
    """What rounding may do.

    Args:
        dtype: float32, float64, or bfloat16 for products in it.
        depth: steps of the longest row times layers.
        distance: how far the float32 baseline is from the float64 one.
    """
    rounding = 16 * _EPS[torch.float32] * math.sqrt(depth)
    floor = {torch.float32: rounding, torch.float64: 1e-12, torch.bfloat16: 4 * _EPS[torch.bfloat16]}[dtype]
    factor = 2 if dtype == torch.bfloat16 else 20
    return min(max(floor, factor * distance * _EPS[dtype] / _EPS[torch.float32]), _LIMIT[dtype])


def check_numbers(baseline: Reading) -> None:
    """Raise a RunError if something is NaN or infinite."""
    for group in (baseline.outputs, baseline.final_state or {}, baseline.gradients or {}):
        for name, tensor in group.items():
            if not bool(tensor.isfinite().all()):
                raise RunError(f"the model's {name or 'outputs'} are not all numbers, so that nothing can be compared.")
