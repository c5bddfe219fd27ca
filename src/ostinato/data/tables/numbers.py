"""Cells of tables as numbers, and the rows whose cells can't be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ostinato.arrays import Mask, Offsets
from ostinato.data.io.blocks import Block
from ostinato.wording import setting

Floats = NDArray[np.float64]
Problem = tuple[Mask, str, pl.Series | None]
"""The rows it concerns, what it is, and the cells to show."""
Reject = Callable[[Block, int, str], None]
"""Takes a row that can't be used, by its number in its block, and the reason."""
MISSING = ("na", "n/a", "nan", "null", "none", "?", "-")
"""What people write for a number that is missing, in lower case."""
_STYLED = r"^\s*[-+]?\d[\d.,' ]*[.,]\d+\s*$"
"""Digits with signs between them: a number in some country's style."""
_COMMA = r"^\s*[-+]?\d[\d.]*,\d+\s*$"
"""One that has a decimal comma, or thousands."""


def numbers_of(cells: pl.Series, missing: Sequence[str] = ()) -> tuple[Floats, Mask]:
    """Cells as numbers, NaN where there is none; and which of them hold neither a number nor a word of `missing`."""
    texts = cells.cast(pl.String).str.strip_chars()
    numbers = texts.cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & texts.is_not_null()).to_numpy().copy()
    wrong[wrong] = ~texts.filter(wrong).str.to_lowercase().is_in(["", *missing]).to_numpy()
    return numbers.fill_null(float("nan")).to_numpy(), wrong


def read_numbers(
    frame: pl.DataFrame, names: Sequence[str], missing: Sequence[str] = ()
) -> tuple[Floats, list[Problem]]:
    """Some columns as numbers, (rows, columns), NaN where there is none; and the cells that hold something else."""
    flat = pl.concat([pl.Series("", dtype=pl.String), *(frame[name].cast(pl.String).rename("") for name in names)])
    numbers, wrong = (of.reshape(len(names), len(frame)) for of in numbers_of(flat, missing))
    problems: list[Problem] = [
        (wrong[place], _not_numbers(name, frame[name].cast(pl.String), wrong[place]), frame[name])
        for place, name in enumerate(names)
        if wrong[place].any()
    ]
    return np.ascontiguousarray(numbers.T), problems


def _not_numbers(name: str, cells: pl.Series, wrong: Mask) -> str:
    """What to say of cells that are no numbers; some may be, in another style than the first rows are written in."""
    texts, others = cells.filter(wrong), cells.filter(~wrong)
    dots, before = (bool(one.str.contains(".", literal=True).any()) for one in (texts, others))
    if texts.str.contains(_COMMA).all() and (dots or not before):
        return f"`{name}` is not a number (with a decimal comma it is: {setting('data.decimal', ',')})"
    styled = bool(texts.str.contains(_STYLED).any())
    return (
        f"`{name}` is not a number{' (`data.decimal` and `data.thousands` say how they are written)' if styled else ''}"
    )


def usable(block: Block, problems: Iterable[Problem], reject: Reject) -> Mask:
    """Which rows have no problem; each of the others is rejected for its first one."""
    good = np.ones(len(block), dtype=np.bool_)
    for wrong, reason, cells in problems:
        for row in np.flatnonzero(good & wrong).tolist():
            reject(block, row, reason if cells is None else f"{reason}: {cells[row]!r}")
        good &= ~wrong
    return good


def wide_rows(
    block: Block, names: Sequence[str], reject: Reject, missing: Sequence[str] = ()
) -> tuple[Floats, Offsets, Mask]:
    """Rows that are a series each, a column a step: (rows, columns), the steps of each, and which rows can be used.

    Cells that are empty at the end of a row say that it is shorter.
    """
    numbers, problems = read_numbers(block.table, names, missing)
    known = ~np.isnan(numbers)
    lengths = np.where(known.any(axis=1), len(names) - known[:, ::-1].argmax(axis=1), 0)
    return numbers, lengths, usable(block, problems, reject)
