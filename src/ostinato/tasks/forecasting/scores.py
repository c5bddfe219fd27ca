"""Metrics of forecasts: errors by step of the horizon, on the scale of the model and in the series' own units."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ostinato.arrays import Floats
from ostinato.metrics.classification import Metrics
from ostinato.metrics.resampling import SUMS, Figure, Numbers, Sums, Units, ratio

_FIGURES: dict[str, Figure] = {
    "mse": ratio(0, 2),
    "mae": ratio(1, 2),
    "rmse": lambda sums: np.sqrt(sums[..., 3] / sums[..., 2]),
    "smape": ratio(4, 6),
    "mase": ratio(5, 6),
}
_OF_QUANTILES: dict[str, Figure] = {
    "coverage": ratio(7, 2),
    "width": ratio(8, 2),
    "crps": lambda sums: 2 * sums[..., 9] / sums[..., 2],
}
"""Of the columns that `SeriesScores.add` sums over each window."""


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

    windows: (N, K) of some windows each, what their figures are made of.

    Args:
        levels: of the quantiles; empty where there are none.
    """

    levels: tuple[float, ...] = ()
    squared: Floats = field(default_factory=lambda: np.zeros(0))
    absolute: Floats = field(default_factory=lambda: np.zeros(0))
    count: Floats = field(default_factory=lambda: np.zeros(0))
    windows: list[Numbers] = field(default_factory=list)

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
        self.squared += (error**2).sum((0, 2))
        self.absolute += error.sum((0, 2))
        self.count += there.sum((0, 2))
        own_error = np.abs(own[0].astype(np.float64) - own[1]) * there
        size = np.abs(own[0]) + np.abs(own[1])
        smape = 200 * own_error / np.where(size > 0, size, 1.0)
        steps = there.sum(1)  # (N, C)
        divided = np.maximum(steps, 1.0)
        columns = [(error**2).sum((1, 2)), error.sum((1, 2)), there.sum((1, 2)), (own_error**2).sum((1, 2))]
        columns += [(smape.sum(1) / divided).sum(1), (own_error.sum(1) / divided / naive).sum(1), (steps > 0).sum(1)]
        if quantiles is not None:
            columns += self._of_quantiles(quantiles, truth, there)
        self.windows.append(np.stack(columns, axis=1).astype(np.float64))

    def _of_quantiles(self, quantiles: Floats, truth: Floats, there: Floats) -> list[Floats]:
        """(N,) each: truths inside, widths, and pinball losses, summed over each window."""
        low, high = quantiles[..., 0], quantiles[..., -1]
        error = truth[..., None] - quantiles
        q = np.asarray(self.levels)
        pinball = np.maximum(q * error, (q - 1) * error).mean(-1)
        return [(one * there).sum((1, 2)) for one in ((truth >= low) & (truth <= high), high - low, pinball)]

    def metrics(self, units: Units | None = None) -> Metrics:
        """All figures; `units`: which windows belong together, by default each is one."""
        table = np.concatenate(self.windows)
        figures = _FIGURES | (_OF_QUANTILES if self.levels else {})
        sums = Sums((units or Units.rows(len(table))).sums(table), figures)
        found: Metrics = {"num_examples": len(table), **{name: sums.of(name) for name in figures}, SUMS: sums}
        return found | ({"interval": self.levels[-1] - self.levels[0]} if self.levels else {})

    def by_window(self) -> Floats:
        """(N,) mean absolute error of each window, in the order they were added."""
        table = np.concatenate(self.windows) if self.windows else np.zeros((0, 3))
        return table[:, 1] / np.maximum(table[:, 2], 1.0)

    def by_step(self) -> list[Floats]:
        """(H,) mean squared and mean absolute error of each step."""
        count = np.maximum(self.count, 1.0)
        return [self.squared / count, self.absolute / count]
