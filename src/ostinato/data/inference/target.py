"""What a target column holds, inferred from its cells: classes, labels or numbers."""

from __future__ import annotations

import re
from typing import cast

import polars as pl

from ostinato.data.rejects import counted
from ostinato.data.tables.list_cells import MOST_LABELS, json_list, kind_of_values, lists_of
from ostinato.errors import DataError
from ostinato.wording import setting

_KIND = "features.target.kind"
_MOST_NUMBERED = 200
"""Classes that may be numbered, rather than named: from 0 or 1 on, nearly without gaps, many rows each."""
_FILLED, _ROWS_EACH, _FEWEST_ROWS = 0.9, 10, 3
_WHOLE = re.compile(r"([+-]?\d+)\.0+")


def alike(name: str) -> str:
    """What spellings of one class have in common: `1`, `1.0` and `1 ` are one."""
    name = name.strip()
    whole = _WHOLE.fullmatch(name)
    return whole[1] if whole else name


def infer_target(cells: pl.Series, column: str) -> tuple[str, str]:
    """The kind of a target column and the reason for it. Raises `DataError` where numbers and text are mixed."""
    if len(cells) and cells.str.starts_with("[").all() and all(json_list(cell) is not None for cell in cells.unique()):
        _refuse_sequences(cells, column)
        return "labels", f"`{column}` holds JSON lists"
    if (shared := _shared_labels(cells)) is not None:
        return "labels", f"`{column}` holds {counted(shared, 'name')} between commas, each in several combinations"
    numbers = cells.cast(pl.Float64, strict=False)
    distinct = cells.n_unique()
    if numbers.null_count() == len(cells):
        if distinct > max(MOST_LABELS, len(cells) // 2) and len(cells) >= 100:
            raise DataError(
                f"column `{column}` holds {distinct:,} different texts in {len(cells):,} rows: it is hardly a class "
                "column.",
                hint="they are classes: --set features.target.kind=class; texts to write: --set model.task=seq2seq",
            )
        return "class", f"`{column}` holds {counted(distinct, 'different text')}{_otherwise_labels(cells)}"
    if numbers.null_count():
        text, number = cells.filter(numbers.is_null()), cells.filter(numbers.is_not_null())
        raise DataError(
            f"column `{column}` mixes types: {counted(len(number), 'number')} (such as {number[0]}) "
            f"and {counted(len(text), 'text')} (such as {text[0]!r}).",
            hint="if each is a class name: --set features.target.kind=class; if texts are mistakes, to have their rows "
            "named: --set features.target.kind=number",
        )
    if not is_number(cells).all():
        odd = cells.filter(~is_number(cells))
        raise DataError(
            f"column `{column}` holds numbers and {len(odd):,} cells such as {odd[0]!r}, which is not a number.",
            hint="to have their rows named: --set features.target.kind=number",
        )
    if not bool((numbers == numbers.round()).all()):
        return "number", f"`{column}` holds {counted(numbers.n_unique(), 'different number')}"
    return _of_whole_numbers(numbers, column)


def _of_whole_numbers(numbers: pl.Series, column: str) -> tuple[str, str]:
    """Classes, where few different ones have many rows each; and, where it may be otherwise, how to have that."""
    times = numbers.value_counts()["count"]
    distinct, mean = len(times), len(numbers) / len(times)
    what = f"`{column}` holds {counted(distinct, 'different whole number')}"
    each = f"{what}, about {mean:,.0f} rows each"
    if distinct <= MOST_LABELS and (distinct <= MOST_LABELS // 2 or 2 * distinct <= len(numbers)):
        return "class", f"{each}; a number to predict: --set {_KIND}=number" if distinct > 2 and mean >= 2 else what
    low, high = cast("tuple[float, float]", (numbers.min(), numbers.max()))
    numbered = low in (0, 1) and distinct >= _FILLED * (high - low + 1)
    if distinct <= _MOST_NUMBERED and mean >= _ROWS_EACH:
        if numbered and cast("int", times.min()) >= _FEWEST_ROWS:
            return "class", f"{each}, from {low:.0f} to {high:.0f}; a number to predict: --set {_KIND}=number"
        return "number", f"{each}; classes: --set {_KIND}=class"
    return "number", what


def _refuse_sequences(cells: pl.Series, column: str) -> None:
    """Raise `DataError` for lists of numbers that can't be names of labels."""
    lists = lists_of(cells.unique().to_list())
    kind = None if lists is None else kind_of_values(lists)
    if kind in ("series", "notes"):
        what = "numbers" if kind == "series" else "frames of notes"
        raise DataError(
            f"column `{column}` holds lists of {what}, and not one for each step of the input.",
            hint="a sequence of another length is written: --set model.task=seq2seq; if they are names of labels: "
            "--set features.target.kind=labels",
        )


def _shared_labels(cells: pl.Series, mark: str = ",") -> int | None:
    """How many names are separated by a mark, where each that occurs with others is in different cells."""
    cells = cells.unique()
    several = cells.filter(cells.str.contains(mark, literal=True))
    if not len(several):
        return None
    pieces = cells.str.split(mark).explode().str.strip_chars()
    times = pieces.value_counts()
    together = several.str.split(mark).explode().str.strip_chars().unique()
    shared = times.filter(pl.col(pieces.name).is_in(together.implode()))["count"] > 1
    return len(times.filter(pl.col(pieces.name) != "")) if shared.all() else None


def _otherwise_labels(cells: pl.Series) -> str:
    """How to have several labels a cell, where something else than commas may separate them."""
    mark = next((mark for mark in ("|", ";") if _shared_labels(cells, mark) is not None), None)
    kind = setting("features.target.kind", "labels")
    return f"; several labels a cell: {kind} {setting('features.target.separator', mark)}" if mark else ""


def is_number(cells: pl.Series) -> pl.Series:
    """Which cells are finite numbers."""
    return cells.cast(pl.Float64, strict=False).is_finite().fill_null(False)
