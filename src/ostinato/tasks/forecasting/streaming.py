"""A forecaster in sessions: values come one by one, the last window of them is kept, what comes next is asked for."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.data.forecasting.feature import transformed
from ostinato.data.forecasting.future import windows_of
from ostinato.data.forecasting.windows import least_context, series_feature
from ostinato.data.moments import Moments
from ostinato.errors import RowError
from ostinato.recipe import Recipe
from ostinato.tasks.encoder_streaming import first_answer
from ostinato.tasks.forecasting.evaluation import predict
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.signature import TensorSpec
from ostinato.tasks.streaming import Answer, Read, Reading, Steps, StreamingModel, no_stream

_SERIES = "1"
"""What `windows_of` calls a series given by hand."""


class ForecasterStreaming(StreamingModel):
    """A step is a number, or one for each channel, in the series' own units. Reading one costs the same however long
    the series is: the last window is kept, and the mean and deviation that a new series is scaled by are running ones.
    The answer is the forecast of the horizon after it, as `predict` makes it of the whole series, up to rounding.
    Before there are enough steps for any it is `{"needed": steps}`.

    Raises:
        RunError: for a model that reads time stamps or covariates, too.
    """

    def __init__(self, model: Forecaster, features: Features, recipe: Recipe) -> None:
        self._feature = series_feature(features)
        if self._feature.layout.num_past or self._feature.layout.num_known:
            raise no_stream("it reads time stamps or covariates in addition to its channels")
        self._model, self.features = model, features
        self._size, self._width = self._feature.recipe.lookback, self._feature.layout.num_channels
        self._log, self._least = self._feature.recipe.transform == "log", least_context(self._feature.recipe)
        self.dtype = np.dtype(np.float64)
        shapes = {"window": (self._size, self._width), "read": (1,), "mean": (self._width,), "squares": (self._width,)}
        self.states = tuple(TensorSpec(name, "float64", shape) for name, shape in shapes.items())
        self._device = next(model.parameters()).device

    def zero(self) -> Array:
        return np.zeros(self.state_size, dtype=self.dtype)

    def encode(self, given: Any) -> Steps:
        try:
            values = np.asarray(given, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise self._refused(given) from error
        if values.ndim == 0 or (values.ndim == 1 and self._width > 1):
            values = values[None]
        values = values[:, None] if values.ndim == 1 else values
        if values.ndim != 2 or values.shape[1] != self._width or not len(values) or not np.isfinite(values).all():
            raise self._refused(given)
        if self._log and not (values > 0).all():
            raise self._refused(given)
        return Steps(values)

    def _refused(self, given: Any) -> RowError:
        wanted = "a number" if self._width == 1 else f"{self._width} numbers"
        above = " above zero (the model reads logarithms)" if self._log else ""
        return RowError(f"a step must be {wanted}{above}, all of them there. Received: {given!r:.60}.")

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        found = []
        for one in batch:
            state, answers = one.state, list[Answer]()
            asked = first_answer(one, len(one.steps))
            for number, values in enumerate(one.steps.values):
                state = self._after(state, values)
                if number >= asked:
                    answers.append(self.peek(state))
            found.append(Read(state, answers))
        return found

    def _after(self, state: Array, values: Array) -> Array:
        """One step later."""
        parts = self.named(state)
        value = transformed(values[None], self._log, "")
        moments = self._moments(parts).joined(Moments(np.ones(self._width, np.int64), value[0], np.zeros(self._width)))
        window = np.concatenate([parts["window"][self._width :], values])
        return np.concatenate([window, parts["read"] + 1, moments.mean, moments.squares])

    def _moments(self, parts: dict[str, Array]) -> Moments:
        return Moments(np.repeat(parts["read"], self._width).astype(np.int64), parts["mean"], parts["squares"])

    @torch.inference_mode()
    def peek(self, state: Array) -> Answer:
        """The forecast."""
        parts = self.named(state)
        read = int(parts["read"][0])
        if read < self._least:
            return {"needed": self._least - read}
        feature, moments = copy.copy(self._feature), self._moments(parts)
        std = np.where(moments.std > 0, moments.std, 1.0)
        feature.scales = {_SERIES: np.stack([moments.mean, std, np.ones(self._width)])}
        window = parts["window"].reshape(self._size, self._width)[max(self._size - read, 0) :]
        (found,) = predict(self._model, windows_of([window], feature), self.features, self._device)
        return found.to_dict()
