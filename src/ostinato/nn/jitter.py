"""Noise on numbers that are read, in training only: more data out of little."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from ostinato.errors import ShapeError
from ostinato.types import Ragged

VectorsT = TypeVar("VectorsT", Tensor, Ragged)


class Jitter(nn.Module):
    """x̃ = x · exp(scale · s) + noise · ε, with one s ~ N(0, 1) a row and one ε ~ N(0, 1) a number.

    Source: Um et al. 2017, "Data augmentation of wearable sensor data for Parkinson's disease monitoring using
    convolutional neural networks", arXiv:1706.00527 (jittering and scaling; there a factor is from N(1, σ)).

    Args:
        noise: standard deviation of what is added, >= 0, in units of the (normalised) values.
        scale: standard deviation of the logarithm of a row's factor, >= 0.

    Shapes: (L, N, C) in a tensor, or a Ragged of (sum L, C).

    Example:
        >>> Jitter(noise=0.1).eval()(torch.ones(3, 1, 2)).sum()
        tensor(6.)
    """

    def __init__(self, noise: float = 0.0, scale: float = 0.0) -> None:
        super().__init__()
        if noise < 0 or scale < 0:
            raise ShapeError(f"`noise` and `scale` must be at least 0. Received: {noise} and {scale}.")
        self.noise, self.scale = noise, scale

    def forward(self, values: VectorsT) -> VectorsT:
        """Other values at every call in training, the same ones in evaluation."""
        if not self.training or not (self.noise or self.scale):
            return values
        flat = values if isinstance(values, Tensor) else values.values
        if self.scale:
            num_rows = values.shape[1] if isinstance(values, Tensor) else values.num_rows
            factors = torch.exp(self.scale * torch.randn(num_rows, dtype=flat.dtype, device=flat.device))
            flat = flat * (factors if isinstance(values, Tensor) else factors[values.rows_index()]).unsqueeze(-1)
        if self.noise:
            flat = flat + self.noise * torch.randn_like(flat)
        return flat if isinstance(values, Tensor) else values.with_values(flat)

    def extra_repr(self) -> str:
        """The settings that differ from zero."""
        return ", ".join(f"{name}={value}" for name, value in (("noise", self.noise), ("scale", self.scale)) if value)
