"""Metrics of forecasts: errors by step of the horizon, on the scale of the model and in the series' own units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats
from ostinato.metrics.classification import Metrics


@dataclass
class SeriesScores:
    r"""Sums over windows of the errors at each step; `metrics` turns them into figures.

    mse, mae: mean squared and absolute error on the model's scale; rmse: in the series' own units; smape: :math:`200 |y
    - \hat y| / (|y| + |\hat y|)`, per cent; mase: absolute error over that of a seasonal naive forecast of one step on
    the training part (Hyndman & Koehler 2006). smape and mase are means over windows of their means over the horizon,
    as in the M4 competition; missing values are left out.

    With quantiles: `coverage`, share of truths in the interval of the two outermost levels; `interval`: its nominal
    share; `width`: its mean width on the model's scale; `crps`: twice the mean pinball loss over the levels, which
    tends to the continuous ranked probability score as levels grow dense.

    Args:
        levels: of the quantiles; empty where there are none.
    """

    levels: tuple[float, ...] = ()
    num_windows: int = 0
    squared: Floats = field(default_factory=lambda: np.zeros(0))
    absolute: Floats = field(default_factory=lambda: np.zeros(0))
    count: Floats = field(default_factory=lambda: np.zeros(0))
    windows: list[Floats] = field(default_factory=list)
    _own_squared: float = 0.0
    _smape: float = 0.0
    _mase: float = 0.0
    _rows: float = 0.0
    _covered: float = 0.0
    _width: float = 0.0
    _pinball: float = 0.0

    def add(
        self,
        point: Floats,
        truth: Floats,
        mask: NDArray[np.bool_],
        own: tuple[Floats, Floats],
        naive: Floats,
        quantiles: Floats | None = None,
    ) -> None:
        """Add windows.

        Args:
            point: (N, H, C) forecasts on the model's scale.
            truth: (N, H, C) on the same scale.
            mask: (N, H, C), whether there was a truth.
            own: forecasts and truth in the series' own units.
            naive: (N, C), what MASE divides by.
            quantiles: (N, H, C, Q) on the model's scale.
        """
        if not len(self.count):
            self.squared, self.absolute, self.count = (np.zeros(point.shape[1]) for _ in range(3))
        there = mask.astype(np.float64)
        error = np.abs(point.astype(np.float64) - truth) * there
        self.num_windows += len(point)
        self.squared += (error**2).sum((0, 2))
        self.absolute += error.sum((0, 2))
        self.count += there.sum((0, 2))
        own_error = np.abs(own[0].astype(np.float64) - own[1]) * there
        self._own_squared += float((own_error**2).sum())
        self.windows.append(error.sum((1, 2)) / np.maximum(there.sum((1, 2)), 1.0))
        size = np.abs(own[0]) + np.abs(own[1])
        smape = 200 * own_error / np.where(size > 0, size, 1.0)
        steps = there.sum(1)  # (N, C)
        divided = np.maximum(steps, 1.0)
        self._smape += float((smape.sum(1) / divided).sum())
        self._mase += float((own_error.sum(1) / divided / naive).sum())
        self._rows += float((steps > 0).sum())
        if quantiles is not None:
            self._add_quantiles(quantiles, truth, there)

    def _add_quantiles(self, quantiles: Floats, truth: Floats, there: Floats) -> None:
        low, high = quantiles[..., 0], quantiles[..., -1]
        self._covered += float((((truth >= low) & (truth <= high)) * there).sum())
        self._width += float(((high - low) * there).sum())
        error = truth[..., None] - quantiles
        q = np.asarray(self.levels)
        self._pinball += float((np.maximum(q * error, (q - 1) * error).mean(-1) * there).sum())

    def metrics(self) -> Metrics:
        """All figures."""
        count = float(self.count.sum())
        found: Metrics = {
            "num_examples": self.num_windows,
            "mse": float(self.squared.sum()) / count,
            "mae": float(self.absolute.sum()) / count,
            "rmse": (self._own_squared / count) ** 0.5,
            "smape": self._smape / self._rows,
            "mase": self._mase / self._rows,
        }
        if self.levels:
            found["coverage"] = self._covered / count
            found["interval"] = self.levels[-1] - self.levels[0]
            found["width"] = self._width / count
            found["crps"] = 2 * self._pinball / count
        return found

    def by_window(self) -> Floats:
        """(N,) mean absolute error of each window, in the order they were added."""
        return np.concatenate(self.windows) if self.windows else np.zeros(0)

    def by_step(self) -> list[Floats]:
        """(H,) mean squared and mean absolute error of each step."""
        count = np.maximum(self.count, 1.0)
        return [self.squared / count, self.absolute / count]
