"""A file as time series: numbers and time stamps read, rows put in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from ostinato.arrays import Array, Offsets
from ostinato.data.forecasting.columns import numbers_of
from ostinato.data.forecasting.table import Floats, RawSeries, RawTable, shelved
from ostinato.data.forecasting.timestamps import parse_times, shown
from ostinato.data.io.blocks import Block
from ostinato.data.readers.registry import Source
from ostinato.data.rejects import counted
from ostinato.data.tables.group_rows import Groups
from ostinato.errors import DataError
from ostinato.recipe.forecast import ForecastRecipe

_LISTED = 10
_KEYS = ("values", "beside", "stamps", "lines")


def read_table(source: Source, forecast: ForecastRecipe) -> RawTable:
    """The series of a file, each in order of time, gaps and missing values as they were found.

    Args:
        source: of the file.
        forecast: with its columns settled (`settle_columns`).

    Raises:
        DataError: for cells that are no numbers or time stamps, rows out of order, time stamps that occur twice.
    """
    if forecast.layout == "rows":
        return _read_rows(source, forecast)
    return _read_steps(source, forecast)


def _read_rows(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A series a row; cells that are empty at the end of a row are not there."""
    names = forecast.channels or tuple(name for name in source.columns() if name != forecast.series)
    blocks = source.blocks([str(forecast.series), *names])
    series = shelved(one for block in blocks for one in _of_rows(block, names, forecast, source))
    source.bad_rows.settle()
    return RawTable(str(source.path), series)


def _of_rows(block: Block, names: Sequence[str], forecast: ForecastRecipe, source: Source) -> Iterator[RawSeries]:
    cells = block.frame.select(names)
    flat = pl.Series("x", np.concatenate([cells[name].cast(pl.String).to_numpy() for name in names]), pl.String)
    numbers, wrong = numbers_of(flat)
    table, bad = numbers.reshape(len(names), -1).T, wrong.reshape(len(names), -1).T
    for row, name in enumerate(block.frame[str(forecast.series)].to_list()):
        file, line = block.location(row)
        if bad[row].any():
            column = names[int(bad[row].argmax())]
            source.bad_rows.add(file, line, f"`{column}` is no number: {cells[column][row]!r}")
            continue
        filled = np.flatnonzero(~np.isnan(table[row]))
        if not len(filled):
            source.bad_rows.add(file, line, "it holds no number")
            continue
        values = table[row, : filled[-1] + 1, None]
        yield RawSeries(str(name), values, np.zeros((len(values), 0)), None, np.full(len(values), line))


def _read_steps(source: Source, forecast: ForecastRecipe) -> RawTable:
    """A row a step."""
    numeric = [*forecast.channels, *forecast.past, *forecast.future]
    columns = [*([forecast.series] if forecast.series else []), *([forecast.time] if forecast.time else []), *numeric]
    groups, width = Groups(), len(forecast.channels)
    stamps = Stamps(str(source.path), forecast.time) if forecast.time else None
    for block in source.blocks(columns):
        numbers = _numbers(block, numeric, source)
        found: dict[str, Array] = {"values": numbers[:, :width], "beside": numbers[:, width:], "lines": block.lines}
        if stamps is not None:
            found["stamps"] = stamps.read(block.frame[str(forecast.time)], block.lines)
        groups.add(_names(block, source, forecast), found)
    if not len(groups.numbering):
        raise DataError(f"`{source.path}` holds no row.")
    if source.bad_rows.rows:  # without its rows a series would have a gap, so they can't be skipped
        shown_rows = "\n".join(f"  {row}" for row in source.bad_rows.in_order()[:_LISTED])
        raise DataError(
            f"{counted(len(source.bad_rows.rows), 'row')} of `{source.path}` can't be used:\n{shown_rows}",
            hint="an empty cell, NA or NaN is a missing value (`model.forecast.missing`)",
        )
    if stamps is not None:
        stamps.settle()
    offsets, stored = groups.finish()
    series = [
        RawSeries(name, *(stored[key][first:last] if key in stored else None for key in _KEYS))  # type: ignore[arg-type]
        for name, first, last in zip(groups.numbering.names, offsets[:-1], offsets[1:], strict=True)
    ]
    table = RawTable(str(source.path), series, stamps.unit if stamps else "step")
    table.change(lambda one: _in_order(one, table, forecast))
    return table


def _numbers(block: Block, names: Sequence[str], source: Source) -> Floats:
    found = np.empty((len(block.lines), len(names)))
    for place, name in enumerate(names):
        found[:, place], wrong = numbers_of(block.frame[name])
        for row in np.flatnonzero(wrong).tolist():
            source.bad_rows.add(*block.location(row), f"`{name}` is no number: {block.frame[name][row]!r}")
    return found


def _names(block: Block, source: Source, forecast: ForecastRecipe) -> pl.Series:
    """The series that each row is a step of."""
    if not forecast.series:
        return pl.Series("name", [source.path.name.split(".")[0]]).new_from_index(0, len(block))
    names = block.frame[forecast.series].cast(pl.String)
    if names.null_count():
        line = int(block.lines[names.is_null().arg_true()[0]])
        raise DataError(f"`{forecast.series}` is empty in line {line}: which series is it?")
    return names


@dataclass
class Stamps:
    """Reads a column of time stamps block by block; those that can't be read are listed when all are there."""

    path: str
    column: str
    unit: str = "step"
    _wrong: list[str] = field(default_factory=list)
    _num_wrong: int = 0
    _begun: bool = False

    def read(self, cells: pl.Series, lines: Offsets) -> Offsets:
        """Stamps of a block, in the unit of the first; 0 where one can't be read."""
        parsed = parse_times(cells)
        if not self._begun:
            if parsed is None:
                raise DataError(
                    f"column `{self.column}` of `{self.path}` holds no time stamps. Received: {cells[0]!r}.",
                    hint="write them as 2016-07-01 13:00:00, or as integers",
                )
            self._begun, self.unit = True, parsed[1]
        found = parsed[0] if parsed is not None and parsed[1] == self.unit else pl.Series([None], dtype=pl.Int64)
        found = found if len(found) == len(cells) else found.new_from_index(0, len(cells))
        wrong = np.flatnonzero(found.is_null().to_numpy())
        self._num_wrong += len(wrong)
        shown_here = wrong[: max(_LISTED - len(self._wrong), 0)]
        self._wrong += [f"  {self.path}:{lines[i]}: {cells[int(i)]!r}" for i in shown_here]
        return found.fill_null(0).to_numpy().astype(np.int64)

    def settle(self) -> None:
        """Raise `DataError` if there was a stamp that can't be read."""
        if self._num_wrong:
            rows = "\n".join(self._wrong)
            raise DataError(f"{self._num_wrong:,} time stamps of `{self.column}` can't be read:\n{rows}")


def _in_order(series: RawSeries, table: RawTable, forecast: ForecastRecipe) -> RawSeries:
    """By time; raises `DataError` for rows out of order (unless `sort`) and for stamps that occur twice."""
    if series.stamps is None or _rises(series):
        return series
    stamps = series.stamps
    if forecast.sort:
        series = series.take(np.argsort(stamps, kind="stable"))
        stamps = stamps[:0] if series.stamps is None else series.stamps
    steps = np.diff(stamps)
    of = f" of series {series.name!r}" if forecast.series else ""
    for wrong, what, hint in (
        (steps < 0, "earlier than the row before", "--set model.forecast.sort=true puts rows in order of time"),
        (steps == 0, "the same as the row before", "several series in one table? --set model.forecast.series=COLUMN"),
    ):
        rows = np.flatnonzero(wrong) + 1
        if len(rows):
            listed = "\n".join(
                f"  {table.path}:{series.lines[i]}: {shown(int(stamps[i]), table.unit)}" for i in rows[:_LISTED]
            )
            count = f"{len(rows):,} time stamp{'s' if len(rows) > 1 else ''}"
            raise DataError(f"{count}{of} {'are' if len(rows) > 1 else 'is'} {what}:\n{listed}", hint=hint)
    return series


def _rises(series: RawSeries) -> bool:
    """Whether each stamp is later than the one before."""
    last = None
    for run in series.runs():
        stamps = series.stamps[run] if series.stamps is not None else np.zeros(0, dtype=np.int64)
        if (last is not None and stamps[0] <= last) or bool((np.diff(stamps) <= 0).any()):
            return False
        last = stamps[-1]
    return True
