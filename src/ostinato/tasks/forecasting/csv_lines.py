"""Forecasts as a table: a line a step of the future, for `ostinato predict`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Any

from ostinato.metrics.prediction import Prediction


def forecast_lines(predictions: Sequence[Prediction]) -> Iterator[str]:
    """CSV with a header: series, time (or step, from 1), a column a channel, and one for each quantile but
    the median, which is the forecast itself."""
    first = predictions[0].details or {}
    channels, levels = list(first["channels"]), [level for level in first.get("quantiles", ()) if level != "0.5"]
    when = "time" if "times" in first else "step"
    names = [name for channel in channels for name in (channel, *(f"{channel} {level}" for level in levels))]
    yield _line(["series", when, *names])
    for prediction in predictions:
        details, values = prediction.details or {}, prediction.values or ()
        for step, value in enumerate(values):
            by_channel = [_cells(value)] + [_cells(details["quantiles"][level][step]) for level in levels]
            numbers = [f"{column:.8g}" for row in zip(*by_channel, strict=True) for column in row]
            yield _line([details["series"], details["times"][step] if when == "time" else step + 1, *numbers])


def _cells(value: Any) -> list[float]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _line(cells: list[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="").writerow(cells)
    return buffer.getvalue()
