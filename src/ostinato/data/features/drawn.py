"""Frames that a model drew, as a person sees them in a terminal and as files: what features show and write."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ostinato.arrays import Array
from ostinato.errors import RunError

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 64
_MOST_CHANNELS = 4


def bars_text(rows: Array, noun: str) -> str:
    """Numbers (T, C) as text: how many steps, and a line of bars for each of the first channels."""
    lines = [f"{_bars(rows[:, k])}  {rows[:, k].min():.3g} to {rows[:, k].max():.3g}" for k in range(rows.shape[1])]
    more = [f"… and {len(lines) - _MOST_CHANNELS} further channels"] if len(lines) > _MOST_CHANNELS else []
    return "\n".join([f"{len(rows)} {noun}s", *lines[:_MOST_CHANNELS], *more])


def write_numbers(path: Path, rows: Array) -> None:
    """Numbers (T, C) as a CSV file, a row a step. Raises `RunError` for another suffix."""
    if path.suffix.lower() != ".csv":
        raise RunError(f"numbers are written to .csv or .json. Received: {path.name}.")
    names = ",".join(["value"] if rows.shape[1] == 1 else [f"value_{k + 1}" for k in range(rows.shape[1])])
    np.savetxt(path, rows, delimiter=",", header=names, comments="", fmt="%.9g")


def _bars(values: Array) -> str:
    """A bar a step, or a stretch of steps."""
    parts = np.array_split(values, min(len(values), _COLUMNS))
    means = np.asarray([part.mean() for part in parts])
    low, high = float(means.min()), float(means.max())
    levels = ((means - low) / (high - low or 1.0) * (len(_BARS) - 1)).round().astype(int)
    return "".join(_BARS[level] for level in levels)
