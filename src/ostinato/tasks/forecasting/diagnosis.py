"""Diagnosis and verification of forecasters."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.data.forecasting.windows import KNOWN
from ostinato.probes.batches import some_rows
from ostinato.probes.part import Lookback, Part
from ostinato.probes.subject import Subject
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.forecasting.recipe import ForecastingRecipe
from ostinato.tasks.probing import Reading
from ostinato.tasks.signature import BATCH, TIME, Signature, TensorSpec, float_name, state_specs
from ostinato.types import Ragged, State

LOOKBACK = "model.lookback"


def parts(reading: Reading) -> list[Part]:
    """The encoder, on whole windows."""
    forecast = ForecastingRecipe.of(reading.recipe)
    unit = "segment" if forecast.strategy == "segment" else "step"
    lookback = Lookback(forecast.lookback, LOOKBACK)
    return [Part("", lambda count, seed: _windows(reading, count, seed), unit, lookback=lookback)]


def answers(model: Forecaster, batch: Batch) -> Tensor:
    """The loss of each number of the horizon; of one that was not there 0."""
    losses, mask = model.losses(batch)
    return losses.flatten() if mask is None else (losses * mask).flatten()


def _windows(reading: Reading, count: int, seed: int) -> Subject:
    """Windows, and the mean loss over the horizon; normalisation sees the whole window whatever the encoder reads."""
    model = cast("Forecaster", reading.model)
    batch, found = reading.read(some_rows(len(reading.examples), count, seed))
    part = found["encoder"]

    def loss(_: Ragged, finals: list[State]) -> Tensor:
        losses, mask = model.losses(batch, finals)
        if mask is None:
            return losses.mean((1, 2))
        return (losses * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1.0)

    return Subject(part.stacks, part.inputs, loss, per_step=False, reads_states=True)


def signature(model: Forecaster) -> Signature:
    """Of the past, and of what is known in advance of the horizon; channels that are rows of their own have states of
    their own."""
    layout, strategy, horizon = model.layout, model.strategy, model.recipe.horizon
    dtype = float_name(model)
    known = (TensorSpec(KNOWN, dtype, (BATCH, horizon, layout.num_known)),) if layout.num_known else ()
    values = (BATCH, horizon, layout.num_channels, strategy.size // strategy.num_channels)
    rows = BATCH if strategy.num_channels == layout.num_channels else "channels"
    return Signature(
        (TensorSpec("past", dtype, (BATCH, TIME, layout.width)), *known),
        (TensorSpec("parameters", dtype, values),),
        tuple(state_specs("encoder", model.encoder, rows)),
    )
