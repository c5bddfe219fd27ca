"""Strategies: the horizon at once, step by step, or segment by segment."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ostinato.data.forecasting.table import StepLayout
from ostinato.errors import RecipeError
from ostinato.heads.distributions import ValueHead
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import Vectors
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.types import Ragged, State


@dataclass(frozen=True)
class History:
    """The past of R rows, one after the other.

    past: (sum L, C' or 2 C'), normalised channels, and their flags where some may be missing; covariates: (sum L, P),
    columns that are known up to the present; known: (sum L, K), those known in advance; lengths: (R,); ahead:
    (R, H, K), `known` of the horizon, or none.
    """

    past: Tensor
    covariates: Tensor
    known: Tensor
    lengths: Tensor
    ahead: Tensor | None

    @property
    def starts(self) -> Tensor:
        """(R,): where each row begins."""
        return self.lengths.cumsum(0) - self.lengths

    def ragged(self, values: Tensor) -> Ragged:
        """Values of all steps, packed."""
        return Ragged.from_rows(values, self.starts, self.lengths)


class Strategy(nn.Module):
    """Turns a `History` and the states after it into raw outputs (R, H, C', P) and the last layer's state (R, D*H).

    Args:
        recipe: of the model.
        layout: of the steps.
        output: says P.
    """

    def __init__(self, recipe: ForecastingRecipe, layout: StepLayout, output: ValueHead) -> None:
        super().__init__()
        self.forecast, self.output = recipe, output
        self.num_channels = 1 if recipe.channel_independent else layout.num_channels
        self.num_past = self.num_channels * (1 + layout.masked)
        self.width = self.num_past + layout.num_past + layout.num_known
        self.num_known = layout.num_known
        self.size = self.num_channels * output.num_parameters
        """Numbers of one step of the horizon."""
        self.dropout = nn.Dropout(recipe.head_dropout)

    encoder: RecurrentEncoder

    def inputs(self, history: History) -> Ragged:
        """What the encoder reads of the past."""
        return history.ragged(torch.cat([history.past, history.covariates, history.known], 1))

    def encode(self, history: History) -> list[State]:
        """The encoder's states after the past."""
        states: list[State] = self.encoder(self.inputs(history))[1]
        return states

    def _shaped(self, raw: Tensor) -> Tensor:
        """(R, H, C' P) as (R, H, C', P)."""
        return raw.reshape(*raw.shape[:2], self.num_channels, -1)

    def draw(self, history: History, states: list[State], generator: torch.Generator) -> Tensor:
        """One path (R, H, C') in normalised units; only step by step."""
        raise RecipeError("only an autoregressive forecaster draws paths.")


class Direct(Strategy):
    """The final state, then one linear map to all steps; what is known in advance through a hidden layer of its own."""

    def __init__(self, recipe: ForecastingRecipe, layout: StepLayout, output: ValueHead) -> None:
        super().__init__(recipe, layout, output)
        self.encoder = RecurrentEncoder(recipe, inputs=Vectors(self.width))
        self.head = nn.Linear(self.encoder.output_size, self.forecast.horizon * self.size)
        if self.num_known:
            self.known = nn.Linear(self.num_known, recipe.hidden_size)
            self.context = nn.Linear(self.encoder.output_size, recipe.hidden_size, bias=False)
            self.adjust = nn.Linear(recipe.hidden_size, self.size, bias=False)

    def forward(self, history: History, states: list[State], led: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw outputs (R, H, C', P); `led` is not read."""
        state = self.dropout(states[-1][0].transpose(0, 1).flatten(1))  # (R, D*H)
        raw = self.head(state).view(-1, self.forecast.horizon, self.size)
        if history.ahead is not None:
            raw = raw + self.adjust(torch.relu(self.known(history.ahead) + self.context(state).unsqueeze(1)))
        return self._shaped(raw), state


class Autoregressive(Strategy):
    """Each step reads the value before it and what is known of the step itself: in training the true value (teacher
    forcing), else the model's own. A true value that is missing is the last one before it.
    """

    def __init__(self, recipe: ForecastingRecipe, layout: StepLayout, output: ValueHead) -> None:
        super().__init__(recipe, layout, output)
        self.masked = layout.masked
        self.encoder = RecurrentEncoder(recipe, inputs=Vectors(self.num_past + layout.num_known))
        self.head = nn.Linear(self.encoder.output_size, self.size)

    def forward(self, history: History, states: list[State], led: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw outputs (R, H, C', P), led along `led` (R, H, C') where given."""
        if led is None:
            return self._alone(history, states, None)[0], history.past.new_zeros(len(history.lengths), 0)
        first = self._first(states)
        state = states[-1][0].squeeze(0)
        if self.forecast.horizon == 1:
            return first.unsqueeze(1), state
        steps = led[:, :-1].transpose(0, 1)  # (H - 1, R, C')
        ahead = None if history.ahead is None else history.ahead[:, 1:].transpose(0, 1)
        hidden, _ = self.encoder(self._inputs(steps, ahead), states)
        raw = self.head(self.dropout(hidden)).transpose(0, 1)
        return torch.cat([first.unsqueeze(1), self._shaped(raw)], 1), state

    def draw(self, history: History, states: list[State], generator: torch.Generator) -> Tensor:
        """One path (R, H, C')."""
        return self._alone(history, states, generator)[1]

    def inputs(self, history: History) -> Ragged:
        """What the encoder reads of the past: each step knows of the one after it."""
        if history.ahead is None:
            return history.ragged(history.past)
        last = history.starts + history.lengths - 1
        shifted = history.known.roll(-1, 0)
        shifted = shifted.index_copy(0, last.to(shifted.device), history.ahead[:, 0])
        return history.ragged(torch.cat([history.past, shifted], 1))

    def _first(self, states: list[State]) -> Tensor:
        """Raw outputs (R, C', P) of the first step."""
        raw: Tensor = self.head(self.dropout(states[-1][0].squeeze(0)))
        return raw.view(len(raw), self.num_channels, -1)

    def _alone(self, history: History, states: list[State], generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        """Raw outputs, and the path that was taken: points, or draws where there is a generator."""
        raw = self._first(states)
        outputs, path = [raw], [self._taken(raw, generator)]
        for step in range(1, self.forecast.horizon):
            ahead = None if history.ahead is None else history.ahead[:, step].unsqueeze(0)
            hidden, states = self.encoder(self._inputs(path[-1].unsqueeze(0), ahead), states)
            raw = self.head(hidden.squeeze(0)).view(len(raw), self.num_channels, -1)
            outputs.append(raw)
            path.append(self._taken(raw, generator))
        return torch.stack(outputs, 1), torch.stack(path, 1)

    def _taken(self, raw: Tensor, generator: torch.Generator | None) -> Tensor:
        parameters = self.output.parameters(raw)
        return self.output.point(parameters) if generator is None else self.output.sample(parameters, generator)

    def _inputs(self, values: Tensor, ahead: Tensor | None) -> Tensor:
        parts = [values, torch.ones_like(values)] if self.masked else [values]
        return torch.cat(parts if ahead is None else [*parts, ahead], -1)


class SegmentEmbedding(nn.Module):
    """A segment's numbers to a vector: linear, then ReLU.

    Args:
        size: numbers of a segment.
        embedding_dim: of the vector.
    """

    reads_steps = False
    """A state stands for a segment, not for a step."""

    def __init__(self, size: int, embedding_dim: int) -> None:
        super().__init__()
        self.embedding_dim = embedding_dim
        self.linear = nn.Linear(size, embedding_dim)

    def forward(self, segments: Ragged) -> Ragged:
        """(sum L / w, embedding_dim)."""
        return segments.with_values(torch.relu(self.linear(segments.values)))


class Segment(Strategy):
    """SegRNN: the past is read segment by segment, and every segment of the future comes from the final state in one
    step, distinguished by an embedding of its place (and of its channel), all in parallel.

    Source: Lin, Lin, Wu, Wang, Mo & Zheng 2023, arXiv:2308.11200, sections 4.1 and 4.2 (segment-wise iterations,
    parallel multi-step forecasting). Beyond the paper: further columns are part of a segment, and those known in
    advance are added to its place.
    """

    def __init__(self, recipe: ForecastingRecipe, layout: StepLayout, output: ValueHead) -> None:
        super().__init__(recipe, layout, output)
        forecast, size = recipe, recipe.hidden_size
        self.length, self.num_segments = forecast.segment, forecast.horizon // forecast.segment
        self.encoder = RecurrentEncoder(recipe, inputs=SegmentEmbedding(self.length * self.width, size))
        self.rows_per_window = layout.num_channels if forecast.channel_independent else 1
        half = size // 2 if self.rows_per_window > 1 else 0
        self.place = nn.Parameter(torch.randn(self.num_segments, size - half))
        if half:
            self.channel = nn.Parameter(torch.randn(self.rows_per_window, half))
        if self.num_known:
            self.known = nn.Linear(self.length * self.num_known, size)
        self.head = nn.Linear(self.encoder.output_size, self.length * self.size)

    def forward(self, history: History, states: list[State], led: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Raw outputs (R, H, C', P); `led` is not read."""
        num_rows, count = len(history.lengths), self.num_segments
        repeated = [tuple(part.repeat_interleave(count, 1) for part in state) for state in states]
        hidden, _ = self.encoder.run(self._places(history, num_rows).unsqueeze(0), repeated)
        raw = self.head(self.dropout(hidden.squeeze(0)))  # (R * M, w * C' P)
        return self._shaped(raw.view(num_rows, count * self.length, self.size)), states[-1][0].squeeze(0)

    def inputs(self, history: History) -> Ragged:
        """The segments of the past, of which every row is a whole number."""
        steps = torch.cat([history.past, history.covariates, history.known], 1)
        segments = steps.reshape(-1, self.length * self.width)
        return Ragged.from_rows(segments, history.starts // self.length, history.lengths // self.length)

    def _places(self, history: History, num_rows: int) -> Tensor:
        """(R * M, size): what distinguishes the segments of the future."""
        count = self.num_segments
        place = self.place.expand(num_rows, count, -1)
        if self.rows_per_window > 1:
            channel = self.channel.repeat_interleave(num_rows // self.rows_per_window, 0)
            place = torch.cat([place, channel.unsqueeze(1).expand(-1, count, -1)], 2)
        if history.ahead is not None:
            place = place + self.known(history.ahead.reshape(num_rows, count, -1))
        return place.flatten(0, 1)


STRATEGIES: dict[str, type[Direct] | type[Autoregressive] | type[Segment]] = {
    "direct": Direct,
    "autoregressive": Autoregressive,
    "segment": Segment,
}
"""By `model.strategy`."""
