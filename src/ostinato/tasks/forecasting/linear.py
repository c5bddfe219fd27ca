"""A linear path from the steps of a window to those of the horizon, in parallel to a recurrent one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.baselines.base import Figures
from ostinato.types import Ragged


class LinearPath(nn.Module):
    r"""The last value, and a linear map of how the steps before differ from it.

    .. math:: \hat y = x_L + W (x - x_L, x_L, 1)

    x is the window of one channel, x_L its last value. W is no result of gradient descent: `linear_fit` solves for it
    before training; until then it is zero, and the forecast the last value. Source: NLinear of Zeng et al. 2023, "Are
    transformers effective for time series forecasting?"; beyond it, the last value itself is read.

    A window that is shorter is continued backwards by its first season, where it holds one, else by its first value.

    Args:
        lookback: steps of a window, L.
        horizon: steps of a forecast, H.
        num_channels: C; each has a map of its own.

    Shapes: weight (C, L + 1, H): of the steps before the last, the last one, and 1; season (1,): its steps.
    """

    def __init__(self, lookback: int, horizon: int, num_channels: int) -> None:
        super().__init__()
        self.lookback, self.num_channels = lookback, num_channels
        self.weight = nn.Parameter(torch.zeros(num_channels, lookback + 1, horizon), requires_grad=False)
        self.season = nn.Parameter(torch.ones(1), requires_grad=False)
        """Parameters, so that they are saved."""

    def set(self, weight: Figures, season: int) -> None:
        """What was solved for: (C, L + 1, H), or (1, L + 1, H) for all channels."""
        with torch.no_grad():
            self.weight.copy_(torch.from_numpy(weight))
            self.season.fill_(season)

    def forward(self, inputs: Ragged) -> Tensor:
        """(N, H, C) of windows, of which the first C numbers of each step are channels."""
        values, lengths = inputs.row_major()[:, : self.num_channels], inputs.lengths.to(inputs.device)
        ends = lengths.cumsum(0).unsqueeze(1)
        steps = torch.arange(-self.lookback, 0, device=values.device) + lengths.unsqueeze(1)  # (N, L), from each start
        season = self.season.long()
        period = torch.where(lengths >= season, season, 1).unsqueeze(1)
        steps = torch.where(steps < 0, steps % period, steps)
        past = values[ends - lengths.unsqueeze(1) + steps].movedim(2, 0)  # (C, N, L)
        last = past[..., -1:]
        read = torch.cat([past[..., :-1] - last, last, torch.ones_like(last)], 2)
        return (read @ self.weight.to(read) + last).permute(1, 2, 0)
