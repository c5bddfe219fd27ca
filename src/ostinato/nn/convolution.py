"""Convolutions over time, on rows of unequal length."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.errors import ShapeError
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged


class BatchNorm(nn.Module):
    r"""Each feature to mean 0 and variance 1, then scaled and shifted: :math:`y = \gamma (x - \mu) / \sigma + \beta`.

    In training, mean and variance are those of all steps of the batch, in evaluation a moving average of them (momentum
    0.1). Both are parameters without a gradient, so that they are saved, loaded and resumed with the weights.

    Source: Ioffe and Szegedy 2015, "Batch Normalization", arXiv:1502.03167, algorithm 1 (ε = 1e-5).

    Args:
        num_features: F, >= 1.

    Shapes: (M, F), steps of any rows, to (M, F). A single step has no variance: the moving averages stand in for it.
    """

    def __init__(self, num_features: int) -> None:
        super().__init__()
        check_positive(num_features=num_features)
        self.weight = nn.Parameter(torch.ones(num_features))
        self.bias = nn.Parameter(torch.zeros(num_features))
        self.mean = nn.Parameter(torch.zeros(num_features), requires_grad=False)
        self.variance = nn.Parameter(torch.ones(num_features), requires_grad=False)

    def forward(self, values: Tensor) -> Tensor:
        """(M, F)."""
        own = self.training and len(values) > 1
        return F.batch_norm(values, self.mean, self.variance, self.weight, self.bias, training=own)


class Convolutions(nn.Module):
    """[convolution over time → batch normalisation → ReLU] for each of `channels`.

    A row is read as if zeros came before and after it, whatever rows are next to it, and keeps its length; means and
    variances are of real steps only.

    Source: the fully convolutional network of Wang, Yan and Oates 2017, "Time series classification from scratch with
    deep neural networks", arXiv:1611.06455, without its output layer (there 128, 256, 128 channels and 8, 5, 3 steps).

    Args:
        input_size: C, features of the values, >= 1.
        channels: of each convolution, >= 1; at least one.
        kernels: steps that each of them sees, odd: as many before as after.

    Shapes: a Ragged of (sum L, C) to one of (sum L, channels[-1]).

    Raises:
        ShapeError: for another number of kernels than of channels, or an even kernel.

    Example:
        >>> layer = Convolutions(1, channels=(4, 8), kernels=(5, 3))
        >>> layer(Ragged.from_padded(torch.ones(2, 6, 1), [6, 2])).values.shape
        torch.Size([8, 8])
    """

    def __init__(self, input_size: int, channels: Sequence[int], kernels: Sequence[int]) -> None:
        super().__init__()
        check_positive(input_size=input_size)
        if not channels or len(channels) != len(kernels) or any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise ShapeError(
                "`kernels` must be one odd number of steps for each of `channels`. "
                f"Received: {list(kernels)} for {list(channels)}."
            )
        sizes = (input_size, *channels)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2, bias=False)  # BatchNorm would take a bias away
            for before, after, kernel in zip(sizes, channels, kernels, strict=False)
        )
        self.norms = nn.ModuleList(BatchNorm(size) for size in channels)
        self.output_size = channels[-1]

    def forward(self, ragged: Ragged) -> Ragged:
        """(sum L, output_size), in the structure of the input."""
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            found = over_time(cast("nn.Conv1d", convolution), ragged)
            ragged = ragged.with_values(torch.relu(norm(found)))
        return ragged


def over_time(convolution: nn.Conv1d, ragged: Ragged) -> Tensor:
    """(sum L, C') of a convolution that keeps the length of a row, from (sum L, C)."""
    if ragged.max_length == 0:
        return ragged.values.new_zeros(0, convolution.out_channels)
    padded, _ = ragged.to_padded()  # (N, L, C)
    found: Tensor = convolution(padded.transpose(1, 2))  # (N, C', L)
    return found.transpose(1, 2)[ragged.sorted_indices[ragged.rows_index()], ragged.times_index()]
