"""A file as time series: numbers and time stamps read, rows put in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ostinato.data.forecasting.order import in_order
from ostinato.data.forecasting.roles import id_columns
from ostinato.data.forecasting.table import RawSeries, RawTable, shelved
from ostinato.data.inference.sample import DataSample
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Source
from ostinato.data.tables.long import LongTable, named_rows
from ostinato.data.tables.numbers import MISSING, Reject, usable, wide_rows
from ostinato.data.times.clock import Clock
from ostinato.errors import DataError
from ostinato.recipe.base import named_by
from ostinato.recipe.forecast import ForecastRecipe

_LISTED, _BLOCKS = 10, 8
_KEYS = ("values", "covariates", "stamps", "lines", "zone")


def read_table(source: Source, forecast: ForecastRecipe, likely: str | None = None) -> RawTable:
    """The series of a file, each in order of time, gaps and missing values as they were found.

    Args:
        source: of the file.
        forecast: with its columns resolved (`resolve_columns`).
        likely: the form of the time stamps of a run's own data, where this is another file.

    Raises:
        DataError: for cells that are no numbers or time stamps, rows out of order, time stamps that occur twice, and
            where the order of day and month is open.
    """
    if forecast.layout == "rows":
        return _read_rows(source, forecast)
    return _read_steps(source, forecast, likely)


def _read_rows(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A series a row; cells that are empty at the end of a row are not there."""
    names = forecast.channels or tuple(name for name in source.columns() if name not in named_by(forecast.series))
    blocks = source.blocks([*named_by(forecast.series), *names])
    series = shelved(one for block in blocks for one in _of_rows(block, names, forecast, source))
    source.bad_rows.check()
    return RawTable(source.name, series)


def _of_rows(block: Block, names: Sequence[str], forecast: ForecastRecipe, source: Source) -> Iterator[RawSeries]:
    numbers, lengths, good = wide_rows(block, names, _reject_by(source), MISSING)
    good = good & usable(block, [(good & (lengths == 0), "it holds no number", None)], _reject_by(source))
    called = named_rows(block.table, named_by(forecast.series)).to_list()
    for row in np.flatnonzero(good).tolist():
        values = numbers[row, : lengths[row], None]
        lines = np.full(len(values), block.lines[row])
        yield RawSeries(str(called[row]), values, np.zeros((len(values), 0)), None, lines)


def _reject_by(source: Source) -> Reject:
    return lambda block, row, reason: source.bad_rows.add(*block.location(row), reason)


def _read_steps(source: Source, forecast: ForecastRecipe, likely: str | None) -> RawTable:
    """A row a step."""
    numbers = {"values": forecast.channels, "covariates": (*forecast.past, *forecast.future)}
    time, ids = named_by(forecast.time), named_by(forecast.series)
    clock = Clock(time, forecast.time_format if likely is None else None, likely=likely) if time else None
    rows = LongTable(numbers, _reject_by(source), ids, clock, MISSING)
    for block in source.blocks([*ids, *time, *numbers["values"], *numbers["covariates"]]):
        rows.add(block, {"lines": block.lines})
        if clock and not clock.found:
            raise DataError(
                f"column `{clock.name}` of `{source.name}` holds no time stamps in a known format. "
                f"Received: {clock.cells(block.table)[0]!r}.",
                hint="rows as evenly spaced steps: --set data.time=null; their format: --set "
                "'data.time_format=%d/%m/%Y %H:%M'",
            )
    if source.bad_rows.rows and source.bad_rows.policy == "stop":
        shown_rows = "\n".join(f"  {row}" for row in source.bad_rows.in_order()[:_LISTED])
        raise DataError(
            f"{source.bad_rows.how_many} of `{source.name}` can't be used:\n{shown_rows}",
            hint="an empty cell, NA or NaN is a missing value; to skip these: --set data.on_bad_row=skip",
        )
    names, offsets, stored = rows.finish(source.name)
    if not names:
        raise DataError(f"`{source.name}` holds no row.")
    names = names if ids else [source.path.name.split(".")[0]]
    series = [
        RawSeries(name, **{key: stored[key][first:last] if key in stored else None for key in _KEYS})  # type: ignore[arg-type]
        for name, first, last in zip(names, offsets[:-1], offsets[1:], strict=True)
    ]
    table = RawTable(source.name, series)
    if clock:
        table.form, table.notes = clock.form, clock.notes
    in_order(table, forecast, lambda: _ids_of(source, forecast))
    return table


def _ids_of(source: Source, forecast: ForecastRecipe) -> tuple[str, ...]:
    """Columns that may name several series, where time stamps occur twice."""
    sample = DataSample(source.glance())
    names = sample.columns()
    free = [name for name in names if name not in (*named_by(forecast.time), *forecast.past, *forecast.future)]
    return id_columns(sample.rows(*names, num_blocks=_BLOCKS), free, named_by(forecast.time))
