"""A row of numbers as a small drawing, for the report's lists."""

from __future__ import annotations

from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

_WIDTH, _HEIGHT, _MARGIN = 360, 56, 3
_MOST_STEPS, _MOST_CHANNELS = 360, 4
_COLOURS = ("blue", "orange", "green", "muted")


def sparkline(values: NDArray[Any]) -> Markup:
    """(L, C) as lines over time, the first channels of many; all on one scale, from the least to the greatest value.

    Example:
        >>> sparkline(np.asarray([[0.0], [1.0], [0.5]])).startswith("<svg")
        True
    """
    shown = np.asarray(values, dtype=np.float64)[:, :_MOST_CHANNELS]
    if len(shown) > _MOST_STEPS:
        shown = shown[np.linspace(0, len(shown) - 1, _MOST_STEPS).round().astype(int)]
    low, high = float(shown.min()), float(shown.max())
    x = np.linspace(_MARGIN, _WIDTH - _MARGIN, max(len(shown), 2))[: len(shown)]
    y = _HEIGHT - _MARGIN - (shown - low) / (high - low or 1.0) * (_HEIGHT - 2 * _MARGIN)
    lines = "".join(
        f'<polyline fill="none" stroke="var(--{colour})" stroke-width="1.3" points="'
        + " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y[:, channel], strict=True))
        + '"/>'
        for channel, colour in zip(range(shown.shape[1]), _COLOURS, strict=False)
    )
    label = f"{len(values)} steps" + (
        f", {shown.shape[1]} of {values.shape[1]} channels" if values.shape[1] > 1 else ""
    )
    return Markup(
        f'<svg role="img" aria-label="{label}" width="{_WIDTH}" height="{_HEIGHT}" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" style="max-width: 100%; display: block">{lines}</svg>'
    )
