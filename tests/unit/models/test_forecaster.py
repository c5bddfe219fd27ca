"""Forecasters: shapes, what a forecast may depend on, strategies against plain torch, ragged lookbacks, masks."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ostinato.data.batching import Batch
from ostinato.data.forecasting.table import StepLayout
from ostinato.errors import RecipeError
from ostinato.recipe import TrainingRecipe, build_recipe
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.types import Ragged

STRATEGIES = ("direct", "autoregressive", "segment")
C, H, L = 3, 8, 12


def _model(layout: StepLayout | None = None, cell: str = "gru", **options: Any) -> Forecaster:
    torch.manual_seed(0)
    segments = {"segment": 4} if options.get("strategy") == "segment" else {}
    recipe = ForecastingRecipe(cell=cell, hidden_size=6, lookback=L, horizon=H, **segments, **options)
    return Forecaster(recipe, layout or StepLayout(C, False, 0, 0)).double().eval()


def _batch(layout: StepLayout, lengths: list[int], seed: int = 1) -> Batch:
    torch.manual_seed(seed)
    starts = torch.tensor([0, *lengths]).cumsum(0)[:-1]
    inputs = Ragged.from_rows(torch.randn(sum(lengths), layout.width).double(), starts, lengths)
    count = len(lengths)
    targets = torch.randn(count, H, layout.num_targets).double()
    extra = {"known": Ragged.from_padded(torch.randn(count, H, layout.num_known).double())} if layout.num_known else {}
    return Batch(inputs, Ragged.from_padded(targets), torch.arange(count).numpy(), extra)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("norm", ["last", "revin"])
def test_shapes_gradients_and_one_by_one(strategy: str, independent: bool, norm: str) -> None:
    layout = StepLayout(C, False, 0, 2)
    model = _model(layout, strategy=strategy, channel_independent=independent, instance_norm=norm, output="gaussian")
    lengths = [12, 4, 8]
    batch = _batch(layout, lengths)
    parameters = model(batch.inputs, batch.extra["known"])
    assert parameters.shape == (3, H, C, 2)
    loss = model.loss(batch, TrainingRecipe())
    loss.backward()
    assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in model.parameters())
    rows, known = batch.inputs.split_rows(), batch.extra["known"].split_rows()
    for number, length in enumerate(lengths):
        alone = model(Ragged.from_rows(rows[number], [0], [length]), Ragged.from_rows(known[number], [0], [H]))
        torch.testing.assert_close(alone[0], parameters[number])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_forecast_moves_with_the_level_of_its_window(strategy: str) -> None:
    model = _model(strategy=strategy, instance_norm="last", channel_independent=True)
    past = torch.randn(2, L, C).double()
    near, far = model(Ragged.from_padded(past)), model(Ragged.from_padded(past + 100.0))
    torch.testing.assert_close(far, near + 100.0)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_what_is_missing_is_never_read_or_scored(strategy: str) -> None:
    layout = StepLayout(C, True, 0, 0)
    model = _model(layout, strategy=strategy, instance_norm="revin")
    batch = _batch(layout, [L, L])
    values = batch.inputs.values.clone()
    values[:, C:] = (values[:, C:] > 0).double()
    targets = batch.sequence_targets.values.clone()
    targets[:, C:] = (targets[:, C:] > 0).double()
    hidden = values.clone()
    hidden[:, :C] += 1e3 * (1 - hidden[:, C:])
    unscored = targets.clone()
    unscored[-1, :C] += 1e3 * (1 - unscored[-1, C:])  # the last step is no input of an autoregressive model
    losses = []
    for inputs, wanted in ((values, targets), (hidden, targets), (values, unscored)):
        made = Batch(batch.inputs.with_values(inputs), batch.sequence_targets.with_values(wanted), batch.rows)
        losses.append(model.loss(made, TrainingRecipe()).item())
    assert losses[0] == pytest.approx(losses[1])
    assert losses[0] == pytest.approx(losses[2])


def test_channels_that_are_independent_do_not_see_each_other() -> None:
    past = torch.randn(2, L, C).double()
    other = past.clone()
    other[:, :, 0] = torch.randn(2, L).double()
    for independent in (True, False):
        model = _model(strategy="segment", channel_independent=independent)
        same = torch.equal(model(Ragged.from_padded(past))[:, :, 1:], model(Ragged.from_padded(other))[:, :, 1:])
        assert same == independent


def test_segments_are_those_of_the_paper() -> None:
    model = _model(strategy="segment", channel_independent=True, instance_norm="last")
    strategy: Any = model.strategy
    past = torch.randn(2, L, C).double()
    weights = dict(strategy.encoder.layers[0].named_parameters())
    gru = nn.GRU(6, 6, batch_first=True).double()
    gru.load_state_dict(weights)
    centred = (past - past[:, -1:]).transpose(1, 2).reshape(2 * C, L // 4, 4)  # row n*C + c
    _, state = gru(torch.relu(strategy.encoder.embedding.linear(centred)))
    places = torch.cat(
        [strategy.place.repeat(C, 1), strategy.channel.repeat_interleave(H // 4, 0)], 1
    )  # (C * M, size), channel after channel
    places = places.repeat(2, 1).unsqueeze(1)
    hidden, _ = gru(places, state.repeat_interleave(H // 4, 1))
    expected = strategy.head(hidden).reshape(2, C, H).transpose(1, 2) + past[:, -1:]
    torch.testing.assert_close(model(Ragged.from_padded(past))[..., 0], expected)


def test_an_autoregressive_forecast_follows_its_own_points() -> None:
    model = _model(StepLayout(C, False, 0, 2), strategy="autoregressive", instance_norm="none")
    batch = _batch(StepLayout(C, False, 0, 2), [L, 9])
    alone = model(batch.inputs, batch.extra["known"])
    led = model(batch.inputs, batch.extra["known"], alone[..., 0])
    torch.testing.assert_close(led, alone)
    other = model(batch.inputs, batch.extra["known"], alone[..., 0] + torch.arange(H).unsqueeze(1))
    torch.testing.assert_close(other[:, :2], alone[:, :2])  # step 2 reads the truth of step 1, which is moved by 0
    assert not torch.allclose(other[:, 2:], alone[:, 2:])


def test_drawn_paths_are_repeatable_and_ordered() -> None:
    model = _model(strategy="autoregressive", output="student_t", num_samples=20)
    batch = _batch(StepLayout(C, False, 0, 0), [L, 7])
    first, again = model.forecast(batch, (0.1, 0.9), seed=3), model.forecast(batch, (0.1, 0.9), seed=3)
    assert first.quantiles is not None
    torch.testing.assert_close(first.point, again.point, atol=0, rtol=0)
    assert bool((first.quantiles[..., 0] <= first.point).all())
    assert not torch.equal(first.point, model.forecast(batch, (0.1, 0.9), seed=4).point)


def test_a_direct_forecast_learns_a_line() -> None:
    model = _model(StepLayout(1, False, 0, 0), strategy="direct", output="mse").train()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    slopes = torch.linspace(-1, 1, 32).double()
    steps = slopes[:, None, None] * torch.arange(L + H)[None, :, None]
    batch = Batch(Ragged.from_padded(steps[:, :L]), Ragged.from_padded(steps[:, L:]), torch.arange(32).numpy())
    losses = []
    for _ in range(60):
        loss = model.loss(batch, TrainingRecipe())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@pytest.mark.parametrize("strategy", ["direct", "segment"])
def test_a_residual_forecast_starts_from_the_season_before(strategy: str) -> None:
    model = _model(strategy=strategy, channel_independent=True, residual=[5, 3], output="gaussian")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "head" in name or "mixture" in name:
                parameter.zero_()
        model.mixture.bias += torch.tensor([30.0, 0.0])
    batch = _batch(StepLayout(C, False, 0, 0), [L, 4])
    long, short = batch.inputs.split_rows()
    found = model(batch.inputs)[..., 0]
    torch.testing.assert_close(found[0], long[[7, 8, 9, 10, 11, 7, 8, 9]])
    torch.testing.assert_close(found[1], short[[0, 0, 1, 2, 3, 0, 0, 1]])


def test_what_does_not_go_together() -> None:
    with pytest.raises(RecipeError, match=r"`data\.past` does not go with strategy: autoregressive"):
        build_recipe({"data": {"past": ["a"]}, "model": {"task": "forecasting", "strategy": "autoregressive"}})
    with pytest.raises(ValueError, match=r"negative_binomial` is of counts as they are"):
        ForecastingRecipe(output="negative_binomial")
    with pytest.raises(ValueError, match=r"bidirectional` must be false for strategy: segment"):
        ForecastingRecipe(bidirectional=True, hidden_size=4, strategy="segment")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_loss_from_an_encoding_is_the_loss_and_reads_no_past(strategy: str) -> None:
    layout = StepLayout(C, False, 0, 2)
    model = _model(layout, strategy=strategy, output="gaussian")
    batch = _batch(layout, [12, 4, 8])
    seen: list[Any] = []
    handle = model.encoder.register_forward_hook(lambda module, args, found: seen.append(found))
    losses, _ = model.losses(batch)
    finals = seen[0][1]
    seen.clear()
    torch.testing.assert_close(model.losses(batch, finals)[0], losses)
    assert not any(isinstance(output, Ragged) for output, _ in seen)
    handle.remove()
    doubled = [tuple(2 * part for part in state) for state in finals]
    assert not torch.allclose(model.losses(batch, doubled)[0], losses)
