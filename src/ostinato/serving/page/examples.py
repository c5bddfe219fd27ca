"""Inputs to try a run on: some of the data that it was trained on, as its reader gives them."""

from __future__ import annotations

from typing import Any

import polars as pl

from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.open import arrange, open_stored
from ostinato.data.rejects import BadRows
from ostinato.errors import OstinatoError
from ostinato.recipe.base import named_by
from ostinato.run import Run

_MOST, _LONGEST = 8, 20_000
_HORIZONS = 4
"""Of a series: what there is to see beyond what a forecast is made from."""


def examples(run: Run) -> list[dict[str, Any]]:
    """Cells by column; none where the data have gone, or are files."""
    data, features = run.recipe.data, run.features
    if data.train is None or any(one.reads_files for one in (features.input, *features.extra.values())):
        return []
    try:
        sample = DataSample(open_stored(data.train, run.recipe, BadRows("skip"), lambda _: None))
        arrange(sample, run.recipe)
        if run.recipe.model.rows == "series":
            return _series(run, sample)
        return _rows(run, sample)
    except (OstinatoError, OSError):
        return []


def _rows(run: Run, sample: DataSample) -> list[dict[str, Any]]:
    names = [str(run.recipe.data.input), *run.features.extra]
    frame = sample.rows(*names).drop_nulls()
    step = max(1, len(frame) // _MOST)
    found = frame[::step].head(_MOST).to_dicts()
    return [row for row in found if all(_size(cell) <= _LONGEST for cell in row.values())]


def _size(cell: Any) -> int:
    return len(cell) if isinstance(cell, str | list) else 1


def _series(run: Run, sample: DataSample) -> list[dict[str, Any]]:
    """The end of the first series of the head of the data."""
    data = run.recipe.data
    channels, keys = list(getattr(data, "channels", ())), list(named_by(getattr(data, "series", None)))
    if not channels or not set(channels) <= set(sample.columns()):
        return []
    frame = sample.rows(*channels, *keys)
    for key in keys:
        frame = frame.filter(pl.col(key) == frame[key][0])
    model = run.recipe.model
    steps = getattr(model, "lookback", 96) + _HORIZONS * getattr(model, "horizon", 24)
    numbers = frame.select(pl.col(channels).cast(pl.Float64, strict=False)).drop_nulls().tail(steps)
    found = [list(row) if len(channels) > 1 else row[0] for row in numbers.rows()]
    return [{str(data.input or "input"): found}] if found else []
