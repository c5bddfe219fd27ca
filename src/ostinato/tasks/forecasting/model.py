"""Forecasts of time series: a window of the past → recurrent encoder → all steps of a horizon."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.data.dataset import Features
from ostinato.data.forecasting.table import StepLayout
from ostinato.data.forecasting.windows import KNOWN, series_feature
from ostinato.errors import RunError
from ostinato.heads.build import value_head
from ostinato.nn.instance_norm import InstanceNorm, Shift
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.forecasting.linear import LinearPath
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.tasks.forecasting.strategies import STRATEGIES, History
from ostinato.types import Ragged, State

_PARTS = {
    "direct": "every step of the horizon at once, from the final state",
    "autoregressive": "each step from the one before it",
    "segment": "segments of steps at once, each from the final state and its place",
}


@dataclass(frozen=True)
class Forecast:
    """point: (N, H, C) on the scale the model reads; quantiles: (N, H, C, Q), or none where the output is a number."""

    point: Tensor
    quantiles: Tensor | None


class Forecaster(nn.Module):
    """Instance normalisation → recurrent encoder → horizon (`strategies`) → output, normalisation undone.

    The loss is the mean over the values of the horizon that are there, on the scale the model reads: squared, absolute
    or Huber's error, pinball loss, or nats (`heads.distributions`).

    With `residual` the network forecasts the difference from a mixture of the last seasons (a day, a week), whose
    weights it gives, too. With `blend` it forecasts the difference from a linear path, solved before training
    (`linear.LinearPath`); `linear_share` of that difference is left out: a half until validation windows decide.
    With `channel_independent` each channel is a row of its own, all by the same weights.

    Args:
        recipe: the model's part of a recipe.
        layout: of the steps it reads.

    Example:
        >>> recipe = ForecastingRecipe(hidden_size=8, lookback=12, horizon=4)
        >>> model = Forecaster(recipe, StepLayout(num_channels=3, masked=False, num_past=0, num_known=0))
        >>> model(Ragged.from_padded(torch.randn(5, 12, 3))).shape
        torch.Size([5, 4, 3, 1])
    """

    linear_share: float = 0.5

    def __init__(self, recipe: ForecastingRecipe, layout: StepLayout) -> None:
        super().__init__()
        self.recipe, self.layout = recipe, layout
        self.head = value_head(recipe)
        self.norm = InstanceNorm(self.recipe.instance_norm, layout.num_channels)
        strategy = STRATEGIES[self.recipe.strategy](recipe, layout, self.head)
        self.encoder = strategy.encoder  # named here, too, as that of every other model
        self.strategy = strategy
        if self.recipe.residual:
            self.mixture = nn.Linear(self.encoder.output_size, len(self.recipe.residual))
        self.linear = (
            LinearPath(recipe.lookback, recipe.horizon, layout.num_channels) if recipe.blend != "none" else None
        )
        self.parts = {"norm": self.recipe.instance_norm, "strategy": _PARTS[self.recipe.strategy]}
        if self.recipe.residual:
            self.parts["mixture"] = f"of the last seasons of {', '.join(map(str, self.recipe.residual))} steps"
        if self.linear is not None:
            self.parts["linear"] = "solved before training; the network forecasts the difference from it"
        weights = torch.arange(1, self.recipe.horizon + 1, dtype=torch.get_default_dtype()) ** -self.recipe.time_decay
        self._weights = weights / weights.mean()

    def forward(
        self,
        inputs: Ragged,
        known: Ragged | None = None,
        future: Tensor | None = None,
        finals: list[State] | None = None,
    ) -> Tensor:
        """Parameters of the output (N, H, C, P) on the scale the model reads.

        Args:
            inputs: (sum L, width), the past.
            known: (N * H, K), what is known in advance of the horizon; none where K is 0.
            future: (N, H, C), the truth, which an autoregressive model is led along in training; none: its own.
            finals: the encoder's states after the past, where they are known.
        """
        history, shift = self._history(inputs, known)
        led = None if future is None else (self._by_row(future) - shift.loc.unsqueeze(1)) / shift.scale.unsqueeze(1)
        raw, state = self.strategy(history, finals or self.strategy.encode(history), led)  # (R, H, C', P), (R, S)
        parameters = self.head.parameters(raw)
        if self.recipe.residual:
            before = self._seasons_before(history, state)
            parameters = self.head.shifted(parameters, before, torch.ones_like(before))
        loc = shift.loc.unsqueeze(1)
        if self.linear is not None:
            loc = self._by_row(self.linear(inputs))
            parameters = parameters if self.training else (1 - self.linear_share) * parameters
        scaled = self.head.shifted(parameters, loc, shift.scale.unsqueeze(1))
        return self._by_window(scaled, inputs.num_rows)

    def paths(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Forecasts (N, H, C, 1) with all that the network adds, and by the linear path alone.

        Raises:
            RunError: for a forecaster without such a path.
        """
        if self.linear is None:
            raise RunError("this forecaster has no linear path.")
        share, self.linear_share = self.linear_share, 0.0
        both = self(batch.inputs, batch.extra.get(KNOWN))
        self.linear_share = share
        return both, self.linear(batch.inputs).unsqueeze(-1)

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """The mean loss over the values of the horizon that are there."""
        losses, mask = self.losses(batch)
        return losses.mean() if mask is None else (losses * mask).sum() / mask.sum().clamp(min=1.0)

    def losses(self, batch: Batch, finals: list[State] | None = None) -> tuple[Tensor, Tensor | None]:
        """The loss of each value, (N, H, C), and 1 where one was there, else 0; none: all were.

        `finals`: the encoder's states after the past, where they are known; it then does not read the past.
        """
        target, mask = self.truth(batch)
        parameters = self(batch.inputs, batch.extra.get(KNOWN), target, finals)
        return self.head.nll(parameters, target) * self._weights.to(target).unsqueeze(1), mask

    def truth(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """Targets (N, H, C) of a batch, and 1 where one was there, else 0; none: all were."""
        channels = self.layout.num_channels
        dense = _dense(batch.sequence_targets, self.recipe.horizon)
        return dense[..., :channels], dense[..., channels:] if self.layout.masked else None

    @torch.no_grad()
    def forecast(self, batch: Batch, levels: tuple[float, ...] = (), seed: int = 0) -> Forecast:
        """The future of a batch of windows, whose targets are never read.

        Args:
            batch: windows.
            levels: of quantiles, rising.
            seed: of the paths that an autoregressive distribution draws.
        """
        known = batch.extra.get(KNOWN)
        if self.recipe.strategy == "autoregressive" and self.head.num_parameters > 1 and levels:
            return self._drawn(batch.inputs, known, levels, seed)
        parameters = self(batch.inputs, known)
        quantiles = self.head.quantiles(parameters, levels) if levels else None
        return Forecast(self.head.point(parameters), quantiles)

    def _drawn(self, inputs: Ragged, known: Ragged | None, levels: tuple[float, ...], seed: int) -> Forecast:
        """Paths drawn step by step; the point is their median."""
        generator = torch.Generator(inputs.device).manual_seed(seed)
        history, shift = self._history(inputs, known)
        states, paths = self.strategy.encode(history), []
        for _ in range(self.recipe.num_samples):
            path = self.strategy.draw(history, states, generator)  # (R, H, C')
            paths.append(path * shift.scale.unsqueeze(1) + shift.loc.unsqueeze(1))
        drawn = self._by_window(torch.stack(paths, -1), inputs.num_rows)
        q = torch.tensor((0.5, *levels), dtype=drawn.dtype, device=drawn.device)
        found = torch.quantile(drawn, q, dim=-1).movedim(0, -1)
        return Forecast(found[..., 0], found[..., 1:])

    def _history(self, inputs: Ragged, known: Ragged | None) -> tuple[History, Shift]:
        """The past as rows one after the other, normalised: a row a window, or a window's channel."""
        layout, channels = self.layout, self.layout.num_channels
        steps, lengths = inputs.row_major(), inputs.lengths
        values = steps[:, :channels]
        mask = steps[:, channels : 2 * channels] if layout.masked else None
        normalised, shift = self.norm(values, lengths, mask)
        covariates = steps[:, layout.num_targets :]
        ahead = None if known is None else _dense(known, self.recipe.horizon)
        if self.recipe.channel_independent and channels > 1:
            lengths = lengths.repeat(channels)
            shift = Shift(shift.loc.t().reshape(-1, 1), shift.scale.t().reshape(-1, 1))
            normalised = normalised.t().reshape(-1, 1)
            mask = None if mask is None else mask.t().reshape(-1, 1)
            covariates = covariates.repeat(channels, 1)
            ahead = None if ahead is None else ahead.repeat(channels, 1, 1)
        past = normalised if mask is None else torch.cat([normalised * mask, mask], 1)
        num_known = layout.num_known
        split = covariates.shape[1] - num_known
        return History(past, covariates[:, :split], covariates[:, split:], lengths, ahead), shift

    def _seasons_before(self, history: History, state: Tensor) -> Tensor:
        """(R, H, C'): the last seasons of each row again and again, mixed as the state says; of a row that is shorter,
        its first value."""
        ends, seasons = history.starts + history.lengths, torch.tensor(self.recipe.residual).unsqueeze(1)
        steps = torch.arange(self.recipe.horizon) % seasons - seasons  # (K, H)
        places = torch.maximum(ends[:, None, None] + steps, history.starts[:, None, None])  # (R, K, H)
        last = history.past[places.to(history.past.device), : self.strategy.num_channels]  # (R, K, H, C')
        weights: Tensor = self.mixture(state).softmax(1)
        return (last * weights[:, :, None, None]).sum(1)

    def _by_row(self, values: Tensor) -> Tensor:
        """(N, H, C) as the rows that are forecast, (R, H, C')."""
        if not self.recipe.channel_independent or values.shape[2] == 1:
            return values
        return values.permute(2, 0, 1).flatten(0, 1).unsqueeze(2)

    def _by_window(self, values: Tensor, num_rows: int) -> Tensor:
        """(R, H, C', ...) as (N, H, C, ...)."""
        if values.shape[0] == num_rows:
            return values
        single = values.squeeze(2)  # (C * N, H, ...)
        return single.reshape(-1, num_rows, *single.shape[1:]).movedim(0, 2)


def _dense(steps: Ragged, horizon: int) -> Tensor:
    """(N, H, F) of rows that all have H steps."""
    return steps.to_padded(total_length=horizon)[0]


def build_forecaster(recipe: ForecastingRecipe, features: Features) -> nn.Module:
    """The forecaster of a run."""
    return Forecaster(recipe, series_feature(features).layout)
