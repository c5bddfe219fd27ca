"""What a target column holds, told from its cells: classes, labels or numbers."""

from __future__ import annotations

import polars as pl

from ostinato.data.rejects import counted
from ostinato.data.tables.list_cells import MOST_LABELS, json_list, kind_of_values, lists_of
from ostinato.errors import DataError


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
                f"column `{column}` holds {distinct:,} different texts in {len(cells):,} rows: hardly a class column.",
                hint="name another --target, or say --set features.target.kind=class",
            )
        return "class", f"`{column}` holds {counted(distinct, 'different text')}"
    if numbers.null_count():
        text, number = cells.filter(numbers.is_null()), cells.filter(numbers.is_not_null())
        raise DataError(
            f"column `{column}` mixes types: {counted(len(number), 'number')} (such as {number[0]}) "
            f"and {counted(len(text), 'text')} (such as {text[0]!r}).",
            hint="if each is a class name: --set features.target.kind=class; if texts are mistakes: "
            "--set features.target.kind=number names their rows",
        )
    if not is_number(cells).all():
        odd = cells.filter(~is_number(cells))
        raise DataError(
            f"column `{column}` holds numbers and {len(odd):,} cells such as {odd[0]!r}, which is none to learn from.",
            hint="--set features.target.kind=number names their rows",
        )
    whole = bool((numbers == numbers.round()).all())
    if whole and distinct <= MOST_LABELS:
        return "class", f"`{column}` holds {counted(distinct, 'different whole number')}"
    return "number", f"`{column}` holds {counted(distinct, 'different number')}"


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


def _shared_labels(cells: pl.Series) -> int | None:
    """How many names stand between commas, where every one that stands beside others is in different cells."""
    cells = cells.unique()
    if not cells.str.contains(",", literal=True).any():
        return None
    pieces = cells.str.split(",").explode().str.strip_chars()
    times = pieces.value_counts()
    together = cells.filter(cells.str.contains(",", literal=True)).str.split(",").explode().str.strip_chars().unique()
    shared = times.filter(pl.col(pieces.name).is_in(together.implode()))["count"] > 1
    return len(times.filter(pl.col(pieces.name) != "")) if shared.all() else None


def is_number(cells: pl.Series) -> pl.Series:
    """Which cells are finite numbers."""
    return cells.cast(pl.Float64, strict=False).is_finite().fill_null(False)
