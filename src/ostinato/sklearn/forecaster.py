"""The future of each series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import polars as pl
from numpy.typing import NDArray
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from ostinato.data.in_memory import as_table
from ostinato.errors import DataError
from ostinato.sklearn.base import SequenceEstimator

_SERIES, _STEP = "series", "step"
_USUAL_LOOKBACK = 96


class SequenceForecaster(SequenceEstimator):
    """What comes after the end of each series. Parameters beside those of `SequenceEstimator`:

    Args:
        horizon: steps that are forecast.
        lookback: steps that a forecast is made from; none: up to 96, as many as the shortest series allows.
        time: the column of time stamps of a table whose rows are steps.
        series: the column that says which series such a row belongs to.

    Example:
        >>> waves = [np.sin(np.arange(40) / 3 + start) for start in range(4)]
        >>> SequenceForecaster(horizon=3, lookback=8, hidden_size=4, epochs=1).fit(waves).predict(waves).shape
        (4, 3)
    """

    task = "forecasting"
    input = None
    extra = ()
    validation_fraction = 0.0

    def __init__(
        self,
        horizon: int = 1,
        *,
        lookback: int | None = None,
        time: str | None = None,
        series: str | None = None,
        cell: str | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        max_steps: int | None = None,
        minutes: float | None = None,
        random_state: Any = 0,
        recipe: Any = None,
        options: Mapping[str, Any] | None = None,
        verbose: bool = False,
    ) -> None:
        self.horizon, self.lookback, self.time, self.series = horizon, lookback, time, series
        self.cell, self.hidden_size, self.num_layers, self.bidirectional = cell, hidden_size, num_layers, bidirectional
        self.learning_rate, self.batch_size = learning_rate, batch_size
        self.epochs, self.max_steps, self.minutes = epochs, max_steps, minutes
        self.random_state, self.recipe, self.options, self.verbose = random_state, recipe, options, verbose

    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on series; the last `horizon` steps of each pick the best epoch (too short ones: all steps).

        Args:
            X: series: arrays (L,) or (L, C), an array (N, L) or (N, L, C), a panel; or, with `time` or `series`, a
                table whose rows are steps.
            y: is not read.

        Raises:
            ValueError: for data that can't be used.
            RecipeError: for parameters that describe no possible training.
        """
        table, shortest = self._steps(X, reset=True)
        lookback = self.lookback or max(1, min(_USUAL_LOOKBACK, shortest - 2 * self.horizon))
        held_out = {"data.split": "last"} if shortest >= lookback + 2 * self.horizon else {"data.validation": table}
        settings = {
            **held_out,
            "data.series": self.series if self._in_rows else _SERIES,
            "data.time": self.time if self._in_rows else _STEP,
            "model.horizon": self.horizon,
            "model.lookback": lookback,
        }
        return self._train(table, {key: value for key, value in settings.items() if value is not None})

    def predict(self, X: Any) -> NDArray[np.float64]:
        """(N, horizon), or (N, horizon, C) of several channels: what comes after the end of each series.

        Raises:
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        found = self.run_.predict(self._steps(X, reset=False)[0])
        if not self._in_rows:
            found.sort(key=lambda one: int((one.details or {})["series"].split()[-1]))
        return np.asarray([one.values for one in found], dtype=np.float64)

    def score(self, X: Any, y: Any) -> float:
        """R² of the forecasts.

        Args:
            X: series.
            y: what came after them, as `predict` gives it.
        """
        return float(r2_score(np.asarray(y, dtype=np.float64).ravel(), self.predict(X).ravel()))

    @property
    def _in_rows(self) -> bool:
        return self.time is not None or self.series is not None

    def _settings(self, num_rows: int) -> dict[str, Any]:
        found = super()._settings(num_rows)
        del found["data.validation"]
        return found

    def _steps(self, X: Any, *, reset: bool) -> tuple[pl.DataFrame, int]:
        """The series as a table with a step a row, and how many steps the shortest one has. Those that are forecast are
        others than those of training, by whose scales they are not scaled."""
        if self._in_rows:
            table = as_table(X)
            for name in (self.time, self.series):
                if name is not None and name not in table.columns:
                    raise DataError(f"`{name}` must be a column of X. Received: {', '.join(table.columns)}.")
            of_each = table.group_by(self.series).len()["len"].to_list() if self.series else [len(table)]
            return table, min(of_each, default=0)
        rows = self._read(X, reset=reset)[self._columns[0]].to_list()
        empty = next((place for place, row in enumerate(rows) if row is None or not len(row)), None)
        if empty is not None:
            raise DataError(f"series of at least one step were expected. Received: none in row {empty + 1}.")
        arrays = [np.asarray(row, dtype=np.float64).reshape(len(row), -1) for row in rows]
        widths = {array.shape[1] for array in arrays}
        if len(widths) != 1:
            raise DataError(f"series of as many channels were expected. Received: {sorted(widths)}.")
        lengths = [len(array) for array in arrays]
        if reset and min(lengths) < 2:
            raise DataError(f"series of at least two steps were expected. Received: n_features = {min(lengths)}.")
        values = np.concatenate(arrays)
        columns = {
            _SERIES: np.repeat([f"{'' if reset else 'new '}{row}" for row in range(len(arrays))], lengths),
            _STEP: np.concatenate([np.arange(length) for length in lengths]),
            **{f"channel_{place}": values[:, place] for place in range(values.shape[1])},
        }
        return pl.DataFrame(columns), min(lengths)
