"""Time series: numbers at every step, one channel or several."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import polars as pl

from ostinato.arrays import Array
from ostinato.data.features.base import Draft
from ostinato.data.features.scaled import ScaledFeature
from ostinato.data.sequences import Sequences
from ostinato.data.tables.list_columns import arrays_of
from ostinato.recipe.kinds import SeriesRecipe


class SeriesFeature(ScaledFeature):
    """Lists of numbers, or of frames of C numbers, to (sum L, D) float32.

    The channels of a step are, in this order: the C values; with `deltas` their differences from the step before
    (0 at the first); with `missing: mask` C numbers that are 1 where a value is missing (the value itself is then 0).
    With `stack` k, each of these holds the numbers of k steps, and k steps are one frame.
    `normalize`: `global` makes x into (x - mean) / std of its channel over the training rows' steps; `row` over the
    row's own steps; a channel that never changes becomes 0.

    Args:
        recipe: of the feature.
        mean: (k C or 2 k C,) of the training rows.
        std: as `mean`.
    """

    recipe_type = SeriesRecipe
    predicted, per_step, frames_hold = True, None, "numbers"

    @property
    def num_channels(self) -> int:
        """C, as measured."""
        return self._num_values // int(self.recipe.stack)

    @property
    def whole_row_reason(self) -> str | None:
        """Of what looks at other steps of a row."""
        looks = {
            "normalize: row": self.recipe.normalize == "row",
            "missing: interpolate": self.recipe.missing == "interpolate",
            "deltas": self.recipe.deltas,
            f"stack: {self.recipe.stack}": self.recipe.stack > 1,
        }
        found = [name for name, there in looks.items() if there]
        return f"`features.input.{found[0]}` looks at other steps of a row" if found else None

    @property
    def _num_values(self) -> int:
        """Measured numbers of a frame."""
        return len(self.mean) // 2 if self.recipe.deltas else len(self.mean)

    @property
    def value_shape(self) -> tuple[int, ...]:
        """(D,)."""
        return (len(self.mean) + (self._num_values if self.recipe.missing == "mask" else 0),)

    @classmethod
    def read(cls, recipe: SeriesRecipe, cells: pl.Series) -> Draft:
        """Lists, or JSON text of lists; all rows must have as many channels as most of the block's."""
        return read_series(recipe, cells, None)

    def draft(self, cells: pl.Series) -> Draft:
        """Cells of new data; rows of another number of channels than training's are problems."""
        raw = read_series(self.recipe, cells, self.num_channels)
        rows = Sequences(self.transform(raw.encoded.values), raw.encoded.offsets)
        return Draft(raw.lengths, rows, raw.problems, raw.notes)

    def values_of(self, cell: Any) -> Array | None:
        """Of numbers that are as they should be."""
        row = None if isinstance(cell, str) else _frames(cell)
        if row is None or isinstance(row, str) or _problem(row, self.num_channels, self.recipe) is not None:
            return None
        return self.transform(_prepared(row, self.recipe).astype(np.float32))

    def transform(self, values: Array) -> Array:
        """(sum L, D) float32."""
        scaled = super().transform(values)
        if self.recipe.missing != "mask":
            return scaled
        missing = np.isnan(values[:, : self._num_values]).astype(np.float32)
        return np.concatenate([np.nan_to_num(scaled, nan=0.0), missing], axis=1)

    def decode(self, values: Array) -> Any:
        """The numbers of a row on their own scale, a list a step where there are several channels."""
        count = self._num_values
        std = np.where(np.isinf(self.std[:count]), 0.0, self.std[:count])
        found = np.asarray(values, dtype=np.float64)[:, :count] * std + self.mean[:count]
        found = found.reshape(-1, self.num_channels)
        return found[:, 0].tolist() if self.num_channels == 1 else found.tolist()


def read_series(recipe: SeriesRecipe, cells: pl.Series, num_channels: int | None) -> Draft:
    """Cells as (sum L, k C or 2 k C) float32, NaN where a value is missing and `missing` is `mask`.

    Args:
        recipe: of the feature.
        cells: lists of numbers, lists of frames, or JSON text of either.
        num_channels: C; none: that of most rows.
    """
    problems: dict[int, str] = {}
    rows: list[Array | None] = []
    found = arrays_of(cells)
    for number, cell in enumerate(cells.to_list() if found is None else found):
        row = _frames(cell)
        if isinstance(row, str):
            problems[number] = row
        rows.append(None if isinstance(row, str) else row)
    if num_channels is None:
        widths = [row.shape[1] for row in rows if row is not None]
        num_channels = max(set(widths), key=widths.count) if widths else 1
    values: list[Array] = []
    for number, given in enumerate(rows):
        problem = None if given is None else _problem(given, num_channels, recipe)
        if problem is not None:
            problems[number] = problem
        usable = given is not None and problem is None
        values.append(_prepared(given if given is not None and usable else np.zeros((0, num_channels)), recipe))
    lengths = np.asarray([len(row) for row in values], dtype=np.int64)
    width = num_channels * (2 if recipe.deltas else 1) * recipe.stack
    joined = np.concatenate([*values, np.zeros((0, width))]).astype(np.float32)
    mask = {"kind": recipe.kind, "missing": "mask"}
    masked = recipe.model_copy(update=mask)
    read = ((number, rows[number]) for number in problems)
    gaps = [number for number, row in read if row is not None and not _problem(row, num_channels, masked)]
    return Draft(lengths, Sequences.from_lengths(joined, lengths), problems, remedies=dict.fromkeys(gaps, mask))


def _frames(cell: Any) -> Array | str:
    """(L, C), or why not."""
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except json.JSONDecodeError:
            return f"not a list of numbers: {cell[:60]!r}"
    if not isinstance(cell, list | tuple | np.ndarray):
        return f"not a list of numbers: {str(cell)[:60]!r}"
    try:
        found = np.asarray(cell, dtype=np.float64)
    except (ValueError, TypeError):
        nested = [len(frame) for frame in cell if isinstance(frame, list)]
        if len(nested) == len(cell) and len(set(nested)) > 1:
            return f"its steps have different numbers of channels: {min(nested)} to {max(nested)}"
        return f"not a list of numbers: {str(cell)[:60]!r}"
    if found.ndim == 1:
        return found[:, None]
    if found.ndim != 2:
        return f"a series is a list of numbers, or of frames of numbers; this is nested {found.ndim} deep"
    return found


def _problem(row: Array, num_channels: int, recipe: SeriesRecipe) -> str | None:
    """Why a row can't be used."""
    if len(row) and row.shape[1] != num_channels:
        return f"has {_channels(row.shape[1])}, other rows have {num_channels}"
    infinite = np.argwhere(np.isinf(row))
    if len(infinite):
        return f"step {infinite[0, 0] + 1}{_in_channel(infinite[0, 1], num_channels)} is infinite"
    missing = np.argwhere(np.isnan(row))
    if len(missing) == row.size and row.size:
        return "all of its values are missing"
    if len(missing) and recipe.missing == "stop":
        where = f"step {missing[0, 0] + 1}{_in_channel(missing[0, 1], num_channels)}"
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return f"{where} is missing{more}"
    if recipe.missing == "interpolate" and np.isnan(row).all(axis=0).any():
        return f"all values{_in_channel(int(np.isnan(row).all(axis=0).argmax()), num_channels)} are missing"
    return None


def _channels(count: int) -> str:
    return f"{count} channel{'s' if count != 1 else ''}"


def _in_channel(channel: int, num_channels: int) -> str:
    return f" of channel {channel + 1}" if num_channels > 1 else ""


def _prepared(row: Array, recipe: SeriesRecipe) -> Array:
    """What depends on the row alone: gaps, its own scale, differences, frames."""
    if recipe.missing == "interpolate" and np.isnan(row).any():
        row = np.stack([_interpolated(channel) for channel in row.T], axis=1)
    if recipe.normalize == "row" and len(row):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a channel whose values are all missing stays so
            std = np.nanstd(row, axis=0)
            row = (row - np.nanmean(row, axis=0)) / np.where(std > 0, std, np.inf)
    parts = [row, np.diff(row, axis=0, prepend=row[:1])] if recipe.deltas else [row]
    return np.concatenate([_stacked(part, recipe.stack) for part in parts], axis=1)


def _stacked(row: Array, count: int) -> Array:
    """(L, C) as (ceil(L / count), count C)."""
    if count == 1:
        return row
    missing = -len(row) % count
    filled = np.concatenate([row, np.repeat(row[-1:], missing, axis=0)])
    return filled.reshape(len(filled) // count, -1) if len(row) else np.zeros((0, count * row.shape[1]))


def _interpolated(channel: Array) -> Array:
    """Straight lines between known values, the nearest one before the first and after the last."""
    known = np.flatnonzero(~np.isnan(channel))
    return np.interp(np.arange(len(channel)), known, channel[known])
