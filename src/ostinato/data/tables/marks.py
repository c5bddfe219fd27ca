"""Numbers as people write them: decimal commas, thousands, signs of currency and percent; and numbers for no value."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import polars as pl

from ostinato.recipe.dialect import Dialect

_SIGN = r"(?:\p{Sc}|USD|EUR|GBP|CHF|JPY)"
_BLANK = "[ \u00a0\u202f]"
_BEFORE = rf"^\(?[+\-−]?{_BLANK}?{_SIGN}?{_BLANK}?[+\-−]?"
_AFTER = rf"(?:[eE][+-]?\d+)?{_BLANK}?(?:{_SIGN}|%)?\)?$"
_WRITTEN = rf"{_BEFORE}(\d[\d.,'’ \u00a0\u202f]*){_AFTER}"
_MOST = 0.9
_LEAST = 0.5
"""Share of a column's cells that must be numbers where the recipe says how these are written."""
_FEW = 20
_AWAY = 2
"""How many times the spread of the others a number must be away from them to mean no value."""
_WORDS_FOR_NONE = ("nan", "n/a", "#n/a", "<na>", "null")
_STANDING_IN = (99, 999, 9_999, 99_999, 999_999, 200, 32_768)


def find_marks(frame: pl.DataFrame, dialect: Dialect) -> tuple[Dialect, tuple[str, ...]]:
    """`dialect` with decimal and thousands found, and the columns whose numbers are not written plainly.

    Args:
        frame: some rows, as text.
        dialect: with its separator known.
    """
    explicit = dialect.decimal == "," or dialect.thousands not in ("auto", "none")
    share = _LEAST if explicit else _MOST
    cells, shape = _flat(frame), (len(frame.columns), len(frame))
    there = cells.is_not_null().to_numpy().reshape(shape).sum(axis=1)
    numbers = cells.str.contains(_WRITTEN).fill_null(False).to_numpy().reshape(shape).sum(axis=1)
    plain = cells.cast(pl.Float64, strict=False).is_not_null().to_numpy().reshape(shape).sum(axis=1)
    places = np.flatnonzero((numbers > 0) & (numbers >= share * there) & (plain < numbers))
    written: dict[str, pl.Series] = {}
    for name in (frame.columns[place] for place in places.tolist()):
        written[name] = frame[name].str.strip_chars().str.extract(_WRITTEN, 1).str.strip_chars().drop_nulls()
    decimal, thousands = dialect.decimal, dialect.thousands
    if decimal == "auto":
        commas = [cells for cells in written.values() if _has_decimal_commas(cells, dialect, frame[cells.name])]
        decimal = "," if commas else "."
    if thousands == "auto":
        thousands = next((mark for cells in written.values() if (mark := _thousands_of(cells, decimal))), "none")
    known = dialect.model_copy(update={"decimal": decimal, "thousands": thousands})
    number = _pattern(known)
    fits = {name: int(cells.str.contains(f"^{number}$").sum()) >= share * len(cells) for name, cells in written.items()}
    marked = [name for name, fit in fits.items() if fit]
    if (known.decimal, known.thousands) != (".", "none"):  # further on, whole numbers may have a fraction, too
        whole = cells.str.contains(r"^[+-]?\d+$").fill_null(False).to_numpy().reshape(shape).sum(axis=1)
        marked += [frame.columns[place] for place in np.flatnonzero((whole > 0) & (whole == there)).tolist()]
    return known, tuple(marked)


def _flat(frame: pl.DataFrame) -> pl.Series:
    """All cells, column after column, without blanks around them."""
    none = pl.Series("", [], dtype=pl.String)
    return pl.concat([none, *(column.rename("") for column in frame.get_columns())]).str.strip_chars()


def _has_decimal_commas(cells: pl.Series, dialect: Dialect, whole: pl.Series) -> bool:
    """Whether the commas of numbers precede fractions. Where every one has three digits after it, the separator
    of the file says: where it is a comma, too, commas are written between thousands."""
    with_comma = cells.filter(cells.str.contains(",", literal=True))
    if not len(with_comma) or dialect.thousands == ",":
        return False
    grouped = r"^\d{1,3}(?:,\d{3})+(?:\.\d*)?$"
    if with_comma.str.contains(grouped).all() and not with_comma.str.contains(r"^0,\d").any():
        several = with_comma.str.contains(r",.*[,.]").any()
        return not several and dialect.separator != ","
    single = with_comma.str.contains(r"^[\d.'’ \u00a0\u202f]+,\d*$")
    if single.sum() < _MOST * len(with_comma):
        return False
    fractions = with_comma.str.contains(r",(?:\d{2}|\d{4,})$").any()
    signed = whole.str.contains(rf"{_SIGN}|[%eE]").any()
    return dialect.separator != "," or bool(fractions or signed) or with_comma.n_unique() > _FEW


def _thousands_of(cells: pl.Series, decimal: str) -> str | None:
    """What separates the thousands of a column's numbers, if anything does."""
    for mark in (".", ",", "'", "’", " ", "\u00a0", "\u202f"):
        if mark == decimal:
            continue
        own = cells.filter(cells.str.contains(mark, literal=True))
        grouped = rf"^\d{{1,3}}(?:{re.escape(mark)}\d{{3}}){{1,4}}(?:{re.escape(decimal)}\d*)?$"
        if len(own) and own.str.contains(grouped).all():
            return mark
    return None


def _pattern(dialect: Dialect) -> str:
    """A number without sign or currency."""
    decimal = re.escape(dialect.decimal)
    grouped = "" if dialect.thousands == "none" else rf"\d{{1,3}}(?:{re.escape(dialect.thousands)}\d{{3}})+|"
    return rf"(?:{grouped}\d+)(?:{decimal}\d*)?"


def plain_numbers(cells: pl.Series, dialect: Dialect) -> pl.Series:
    """Cells that are numbers as they are written plainly (`$1,201.50` as `1201.50`); all others as they are."""
    whole = f"{_BEFORE}{_pattern(dialect)}{_AFTER}"
    texts = cells.str.strip_chars()
    plain = texts.str.replace_all(rf"{_SIGN}|[%+ \u00a0\u202f]", "").str.replace_all("−", "-", literal=True)
    if dialect.thousands != "none":
        plain = plain.str.replace_all(dialect.thousands, "", literal=True)
    if dialect.decimal != ".":
        plain = plain.str.replace_all(dialect.decimal, ".", literal=True)
    plain = plain.str.replace(r"^\((.*)\)$", "-$1")
    found = pl.select(pl.when(texts.str.contains(whole)).then(plain).otherwise(cells)).to_series()
    return found.rename(cells.name)


def signs_in(frame: pl.DataFrame, columns: Sequence[str]) -> list[str]:
    """The signs of currency, and %, that numbers of some columns have."""
    found: set[str] = set()
    for name in columns:
        found |= set(frame[name].drop_nulls().str.extract(rf"({_SIGN}|%)", 1).drop_nulls().unique().to_list())
    return sorted(found)


def stand_ins(frame: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Columns of numbers with one that probably means no value (-999), and of few texts with words that do (NaN), and
    how often."""
    shape = (len(frame.columns), len(frame))
    flat = _flat(frame)
    there = flat.is_not_null().to_numpy().reshape(shape).sum(axis=1)
    values = flat.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy().reshape(shape)
    likely = np.isin(np.abs(values), _STANDING_IN).any(axis=1) & (np.isfinite(values).sum(axis=1) >= _MOST * there)
    found = _words_for_none(frame)
    for place in np.flatnonzero(likely).tolist():
        numbers = values[place][np.isfinite(values[place])]
        for extreme in (float(numbers.min()), float(numbers.max())):
            rest = numbers[numbers != extreme]
            if abs(extreme) not in _STANDING_IN or len(rest) < 2 or len(rest) <= len(numbers) / 2:
                continue
            apart = max(float(rest.max() - rest.min()), np.finfo(float).tiny)
            if min(abs(extreme - rest.min()), abs(extreme - rest.max())) > _AWAY * apart:
                found.append((frame.columns[place], f"{extreme:.0f}", len(numbers) - len(rest)))
                break
    return found


def _words_for_none(frame: pl.DataFrame) -> list[tuple[str, str, int]]:
    """Words that programs write for no value, in columns that hold few texts beside them, which are no numbers."""
    shape = (len(frame.columns), len(frame))
    flat = _flat(frame)
    words = flat.str.to_lowercase().is_in(_WORDS_FOR_NONE).fill_null(False).to_numpy().reshape(shape)
    found: list[tuple[str, str, int]] = []
    for place in np.flatnonzero(words.any(axis=1)).tolist():
        cells, is_word = frame.to_series(place), pl.Series(words[place])
        others = cells.filter(~is_word).drop_nulls()
        few = 1 < others.n_unique() <= max(_FEW, len(others) // 10)
        if few and words[place].mean() < _LEAST and others.cast(pl.Float64, strict=False).null_count() == len(others):
            times = cells.filter(is_word).str.strip_chars().value_counts(sort=True)
            found += [(cells.name, word, count) for word, count in times.rows()]
    return found


def without_stand_ins(cells: pl.Series, null_values: Sequence[str]) -> pl.Series:
    """Cells with nothing in place of those that mean no value; a number in any of its forms: -999, -999.0."""
    if not null_values:
        return cells
    texts = cells.str.strip_chars()
    empty = texts.is_in(list(null_values))
    numbers = pl.Series(null_values).cast(pl.Float64, strict=False).drop_nulls()
    if len(numbers):
        empty = empty | texts.cast(pl.Float64, strict=False).is_in(numbers.to_list()).fill_null(False)
    return pl.select(pl.when(empty).then(None).otherwise(cells)).to_series().rename(cells.name)
