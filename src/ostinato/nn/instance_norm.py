"""Instance normalisation of each row, undone in its forecast: for series whose level shifts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.errors import RecipeError

MODES = ("none", "last", "revin", "scale")
_EPS = 1e-5


@dataclass(frozen=True)
class Shift:
    """What undoes a normalisation: `y = y' * scale + loc`; both (N, C)."""

    loc: Tensor
    scale: Tensor


class InstanceNorm(nn.Module):
    r"""Each channel of each row shifted and scaled by what the row itself is like.

    .. math::
        \text{last:}\quad & x' = x - x_{\text{last}} \\
        \text{revin:}\quad & x' = \gamma \frac{x - \mu}{\sqrt{\sigma^2 + \varepsilon}} + \beta \\
        \text{scale:}\quad & x' = x / (1 + \operatorname{mean} |x|)

    Sources: "last" as in SegRNN (Lin et al. 2023, arXiv:2308.11200, section 4); "revin", reversible instance
    normalisation with learnt γ and β of each channel (Kim et al., ICLR 2022, eq. 1 and 3); "scale" as DeepAR scales
    counts (Salinas et al. 2020, eq. 3). Statistics are of the values that are there (`mask`), and gradients don't
    flow into them.

    Args:
        mode: `none`, `last`, `revin` or `scale`.
        num_channels: C, > 0.

    Shapes: values (sum L, C), rows one after the other; `loc` and `scale` of the `Shift` (N, C).

    Example:
        >>> norm = InstanceNorm("last", 1)
        >>> values, shift = norm(torch.tensor([[1.0], [3.0], [10.0]]), torch.tensor([2, 1]))
        >>> values.squeeze(1), shift.loc.squeeze(1)
        (tensor([-2.,  0.,  0.]), tensor([ 3., 10.]))
    """

    def __init__(self, mode: str, num_channels: int) -> None:
        super().__init__()
        if mode not in MODES:
            raise RecipeError(f"`mode` must be one of {', '.join(MODES)}. Received: {mode!r}.")
        self.mode = mode
        if mode == "revin":
            self.gain = nn.Parameter(torch.ones(num_channels))
            self.bias = nn.Parameter(torch.zeros(num_channels))

    def extra_repr(self) -> str:
        """The mode."""
        return self.mode

    def forward(self, values: Tensor, lengths: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Shift]:
        """Normalised values, and what undoes it.

        Args:
            values: (sum L, C), rows one after the other.
            lengths: (N,) integers >= 1.
            mask: (sum L, C), 1 where a value is there, else 0; none: everywhere.
        """
        lengths = lengths.to(values.device)
        rows = torch.repeat_interleave(torch.arange(len(lengths), device=values.device), lengths)
        shift = self._shift(values, lengths, rows, mask)
        normalised = (values - shift.loc[rows]) / shift.scale[rows]
        if self.mode == "revin":
            normalised = normalised * self.gain + self.bias
            gain = self.gain + _EPS**2  # as the authors' code, which never divides by zero
            shift = Shift(shift.loc - shift.scale * self.bias / gain, shift.scale / gain)
        return normalised, shift

    def _shift(self, values: Tensor, lengths: Tensor, rows: Tensor, mask: Tensor | None) -> Shift:
        ones = values.new_ones(len(lengths), values.shape[1])
        if self.mode == "none":
            return Shift(torch.zeros_like(ones), ones)
        if self.mode == "last":  # what is not there holds the last value before it
            return Shift(values[lengths.cumsum(0) - 1], ones)
        weight = torch.ones_like(values) if mask is None else mask
        count = _summed(weight, rows, ones).clamp(min=1.0)
        if self.mode == "scale":
            return Shift(torch.zeros_like(ones), 1.0 + _summed(values.abs() * weight, rows, ones) / count)
        mean = _summed(values * weight, rows, ones) / count
        variance = _summed((values - mean[rows]).square() * weight, rows, ones) / count
        return Shift(mean, (variance + _EPS).sqrt())


def _summed(values: Tensor, rows: Tensor, like: Tensor) -> Tensor:
    """(N, C): the sum of each row."""
    return torch.zeros_like(like).index_add_(0, rows, values)
