"""Shares of time in which convolutions with fixed kernels exceed a bound: features of a whole row, nothing learnt."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.kernels.native_layer import core, num_threads
from ostinato.nn.checks import check_positive
from ostinato.types import Ragged

_STEPS, _HIGH = 9, 3
_PLACES = list(combinations(range(_STEPS), _HIGH))
NUM_KERNELS = len(_PLACES)
"""84: every choice of three of nine steps."""
_MOST_DILATIONS, _MOST_CHANNELS = 32, 9
_GOLDEN = (5**0.5 + 1) / 2
_ROWS = 32


class RandomConvolutions(nn.Module):
    r"""The share of a row's steps at which a dilated convolution exceeds a bound, for many kernels and bounds:

    .. math::
        \phi_{kdj}(x) = \frac{1}{L} \sum_t \left[ \sum_{c \in C_{kd}} \sum_{i=0}^{8} w_{ki}\, x_{c,\,t + (i - 4) d}
        > b_{kdj} \right]

    The 84 kernels w hold three 2 and six -1, so that a level added to the row changes nothing inside; dilations d
    are spread from 1 to a row's length; the bounds b are quantiles of what the kernel finds in training rows. Every
    other kernel looks only at steps that all of its nine lie within, the others read zeros before and after a row.

    Source: Dempster, Schmidt and Webb 2021, "MiniRocket", arXiv:2012.08791; several channels as in its multivariate
    version: each kernel sums over a random few. Deviations: rows may be of unequal length (a share is of a row's own
    steps); the dilations are those of the longest training row; a seed fixes all draws.

    Args:
        num_channels: numbers a step.
        num_features: F, about so many: the next lower multiple of 84, and 84 at least.

    Shapes: a Ragged of (sum L, num_channels) to (N, F), in the original order of the rows; zeros of an empty row. No
    gradient flows to the values.

    Example:
        >>> layer = RandomConvolutions(1, 168)
        >>> rows = Ragged.from_padded(torch.randn(4, 30, 1))
        >>> layer.fit(rows)
        >>> layer(rows).shape
        torch.Size([4, 168])
    """

    def __init__(self, num_channels: int, num_features: int) -> None:
        super().__init__()
        check_positive(num_channels=num_channels, num_features=num_features)
        self.num_channels = num_channels
        self.num_bounds = max(1, num_features // NUM_KERNELS)
        self.output_size = self.num_bounds * NUM_KERNELS
        kernels = np.full((NUM_KERNELS, _STEPS), -1.0, dtype=np.float32)
        for kernel, places in enumerate(_PLACES):
            kernels[kernel, list(places)] = 2.0
        self._kernels = torch.from_numpy(kernels)
        # parameters, so that they are saved; empty until `fit`
        self.dilations = nn.Parameter(torch.zeros(0, dtype=torch.int64), requires_grad=False)
        """(num_bounds,) of each of a kernel's bounds, ascending."""
        self.channels = nn.Parameter(torch.zeros(0, dtype=torch.uint8), requires_grad=False)
        """(number of different dilations, 84, num_channels): 1 of channels that a kernel reads."""
        self.bounds = nn.Parameter(torch.zeros(0), requires_grad=False)
        """(84, num_bounds)."""

    def fit(self, rows: Ragged, seed: int = 0) -> None:
        """Draw dilations, channels and bounds; `rows`: at least one that is not empty."""
        random = np.random.default_rng(seed)
        spread = _spread(rows.max_length, self.num_bounds)
        dilations = sorted(set(spread))
        channels = np.zeros((len(dilations), NUM_KERNELS, self.num_channels), dtype=np.uint8)
        most = np.log2(min(self.num_channels, _MOST_CHANNELS) + 1)
        for own in channels.reshape(-1, self.num_channels):
            count = max(1, int(2 ** random.uniform(0, most)))
            own[random.choice(self.num_channels, min(count, self.num_channels), replace=False)] = 1
        self.dilations.data = torch.tensor(spread, device=self.dilations.device)
        self.channels.data = torch.from_numpy(channels).to(self.channels.device)
        self.bounds.data = self._bounds(rows, random)

    def forward(self, rows: Ragged) -> Tensor:
        """(N, F); zeros before `fit`."""
        if not self.bounds.numel():
            return self.bounds.new_zeros(rows.num_rows, self.output_size)
        padded, lengths = rows.to_padded()
        x = padded.to(self.bounds.dtype).transpose(1, 2)
        found = self.bounds.new_zeros(rows.num_rows, NUM_KERNELS, self.num_bounds)
        if core is not None and x.device.type == "cpu":
            read = x.detach().contiguous()
            core.convolution_shares(
                self.dilations.data, self.channels.data, self.bounds.data, read, lengths, found, num_threads()
            )
        else:
            for first in range(0, rows.num_rows, _ROWS):
                part = slice(first, first + _ROWS)
                found[part] = self._shares_of(x[part], lengths[part])
        return found.flatten(1)

    def _shares_of(self, x: Tensor, lengths: Tensor) -> Tensor:
        """(N, 84, num_bounds) of rows (N, C, L) by torch alone."""
        found = self.bounds.new_zeros(len(x), NUM_KERNELS, self.num_bounds)
        longest = int(lengths.max())
        for number, dilation in enumerate(torch.unique(self.dilations).tolist() if longest else ()):
            own, sums = self._convolved(x[..., :longest], number)
            for parity in (0, 1):
                kernels = slice(parity, None, 2)
                inside = _inside(lengths, longest, dilation * parity).to(sums.device)
                found[:, kernels, own] = _shares(sums[:, kernels], self.bounds[kernels, own], inside)
        return found

    def _convolved(self, x: Tensor, number: int) -> tuple[slice, Tensor]:
        """With one of the dilations: the places of its bounds, and what all kernels find, (N, 84, L)."""
        different, counts = torch.unique(self.dilations, return_counts=True)
        dilation, first = int(different[number]), int(counts[:number].sum())
        weight = self.channels[number].to(x).unsqueeze(2) * self._kernels.to(x).unsqueeze(1)
        found = F.conv1d(x, weight, padding=_STEPS // 2 * dilation, dilation=dilation)
        return slice(first, first + int(counts[number])), found

    def _bounds(self, rows: Ragged, random: np.random.Generator) -> Tensor:
        """Quantiles, spread by the golden ratio, of what each kernel finds in a random row, another a dilation."""
        held = np.flatnonzero(rows.lengths.numpy())
        padded, lengths = rows.to_padded()
        levels = torch.tensor(np.arange(1, self.output_size + 1) * _GOLDEN % 1, dtype=torch.float32)
        levels = levels.reshape(NUM_KERNELS, self.num_bounds).to(self.dilations.device)
        bounds = torch.zeros_like(levels)
        drawn = [random.choice(held, size=min(NUM_KERNELS, len(held)), replace=False) for _ in self.channels]
        for number, chosen in enumerate(drawn):
            x = padded[torch.from_numpy(chosen).to(padded.device)].to(levels).transpose(1, 2)
            own, sums = self._convolved(x, number)
            for kernel, row in enumerate(np.resize(np.arange(len(chosen)), NUM_KERNELS)):
                found = sums[row, kernel, : int(lengths[int(chosen[row])])]
                bounds[kernel, own] = torch.quantile(found, levels[kernel, own])
        return bounds


def _inside(lengths: Tensor, longest: int, dilation: int) -> Tensor:
    """(N, longest): of each row its own steps; with a dilation those whose nine lie within, where there are some."""
    margin = (_STEPS // 2) * dilation
    margins = torch.where(lengths > 2 * margin, margin, 0).unsqueeze(1)
    steps = torch.arange(longest)
    return (steps >= margins) & (steps < lengths.unsqueeze(1) - margins)


def _shares(sums: Tensor, bounds: Tensor, inside: Tensor) -> Tensor:
    """(N, K, B): how many of the steps `inside`, (N, L), of sums, (N, K, L), exceed each of bounds, (K, B)."""
    counts = inside.sum(1).clamp(min=1).reshape(-1, 1, 1)
    sums = sums.masked_fill(~inside.unsqueeze(1), -torch.inf)
    above = [(sums > bounds[:, j, None]).sum(2, dtype=torch.float32) for j in range(bounds.shape[1])]
    return torch.stack(above, dim=2) / counts


def _spread(length: int, num: int) -> list[int]:
    """So many dilations from 1 up to what a row of that length just holds, most of them small."""
    different = min(num, _MOST_DILATIONS)
    highest = np.log2(max(length - 1, _STEPS - 1) / (_STEPS - 1))
    wanted, counts = np.unique(np.logspace(0, highest, different, base=2).astype(int), return_counts=True)
    counts = counts * num // different
    counts[: num - counts.sum()] += 1
    return [int(one) for one in np.repeat(wanted, counts)]
