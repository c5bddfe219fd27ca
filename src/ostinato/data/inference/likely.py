"""Where a recipe names no input: the columns with samples, and the commands that are likeliest to be meant."""

from __future__ import annotations

import shlex

import polars as pl

from ostinato.data.inference.kinds import kind_of
from ostinato.data.inference.sample import DataSample
from ostinato.data.tables.list_cells import MOST_LABELS
from ostinato.data.times.columns import dated_names, time_parts
from ostinato.data.times.guess import forms_of, may_be_time
from ostinato.errors import UndecidedError
from ostinato.wording import listed

_SHOWN_COLUMNS = 12
_SHOWN_CELLS = 40
_FEWEST_STEPS, _TIMES, _PROSE = 3, 64, 8.0
_ROWS_EACH = 3
"""Rows that each class must have on average."""
_READ = ("text", "sentence", "review", "message", "source", "sequence", "question", "input", "word", "name", "tweet")
_PREDICTED = ("label", "class", "target", "category", "sentiment", "intent", "rating", "score", "y", "tag", "tags")


def only_other(columns: list[str], used: list[str]) -> str | None:
    """The column that is left where all others are used, or the only one there is."""
    rest = [name for name in columns if name not in used]
    return rest[0] if len(rest) == 1 else None


def no_input(sample: DataSample, target: str | None) -> UndecidedError:
    """What to say where the input column can't be inferred."""
    columns = sample.columns()
    shown = {name: _shown(sample, name) for name in columns[:_SHOWN_COLUMNS]}
    more = [f"  … and {len(columns) - _SHOWN_COLUMNS:,} more"] if len(columns) > _SHOWN_COLUMNS else []
    choices = choices_for(sample, target)
    commands = [f"ostinato train {shlex.join([str(sample.source.name), *words])}" for words in choices]
    inputs = sorted(shown, key=lambda name: -_as_input(sample, name))
    targets = [target] if target else sorted(shown, key=lambda name: -_as_target(sample, name))
    return UndecidedError(
        f"`data.input` is not set. Columns of `{sample.source.name}`:\n"
        + "\n".join([*(f"  {name}: {cells}" for name, cells in shown.items()), *more]),
        hint=" or ".join([*commands, *filter(None, [sample.source.otherwise])]),
        columns=shown,
        likely=(inputs, targets),
        choices=choices,
    )


def choices_for(sample: DataSample, target: str | None) -> list[list[str]]:
    """The options of the two likeliest commands; `target`: the column to predict, where it is known."""
    start = list[str]()
    for key, value in sample.source.dialect.given().items():
        listed_value = f"[{', '.join(value)}]" if isinstance(value, tuple) else value
        start += ["--set", f"data.{key}={listed_value}"]
    forecast = [*start, "--set", "model.task=forecasting"]
    if target is None and dated_names(sample.columns()):
        return [[*forecast, "--set", "data.layout=rows"]]
    if (wide := _wide(sample, target)) is not None:
        return [[*start, "--input", wide[0], "--target", wide[1]]]
    columns = [name for name in sample.columns() if name != target][:_SHOWN_COLUMNS]
    read = max(columns, key=lambda name: _as_input(sample, name), default=None)
    others = [target] if target else sorted(columns, key=lambda name: -_as_target(sample, name))
    if read is None:
        return [[*start, "--input", str(target)]]
    found = [[*start, "--input", read, "--target", name] for name in others if name != read][:1]
    if target is None and _as_input(sample, read) < _PROSE and _is_timed(sample):
        return [forecast, *found]
    if _is_numeric(sample.cells(read)) and target is None:
        found.append(forecast)
    elif target is None:
        found.append([*start, "--input", read])
    else:
        rest = [name for name in columns if name != read]
        found += [[*start, "--input", name, "--target", target] for name in rest[:1]]
    return found[:2]


def _wide(sample: DataSample, target: str | None) -> tuple[str, str] | None:
    """Where all columns but one are numbers, side by side: these as a series a row, and the one to predict."""
    names = sample.columns()
    frame = sample.rows(*names)
    others = [name for name in names if name == target or not _is_numeric(frame[name].drop_nulls())]
    numbers = [name for name in names if name not in others]
    if len(others) != 1 or len(numbers) < _FEWEST_STEPS or names.index(others[0]) not in (0, len(names) - 1):
        return None
    return f"{numbers[0]}:{numbers[-1]}", others[0]


def _is_timed(sample: DataSample) -> bool:
    """Whether there are time stamps, in a column or in several, and numbers."""
    names = sample.columns()
    frame = sample.rows(*names)
    numbers = [name for name in names if _is_numeric(frame[name].drop_nulls())]
    parts = time_parts(frame, names)
    dated = bool(parts) or any(_is_dated(frame[name], name) for name in names if name not in numbers)
    return dated and any(name not in parts for name in numbers)


def _is_dated(cells: pl.Series, name: str) -> bool:
    if cells.dtype != pl.String:
        return False
    texts = cells.drop_nulls().str.strip_chars().head(_TIMES)
    if not len(texts) or not may_be_time(texts[0], name):
        return False
    return any(form.unit == "us" and form.dated and form.fits(texts) == len(texts) for form in forms_of(texts, name))


def _shown(sample: DataSample, name: str) -> str:
    cells = sample.cells(name).head(3)
    texts = [" ".join(str(cell).split())[:_SHOWN_CELLS] for cell in cells.to_list()]
    return listed([repr(text) for text in texts]) if texts else "empty"


def _as_input(sample: DataSample, name: str) -> float:
    """How likely a column is one that is read: sequences before texts, longer texts before shorter ones."""
    cells = sample.cells(name)
    kind = kind_of(sample, name)
    if len(cells) > 1 and cells.n_unique() == 1:  # which says nothing of any row
        return -1
    if kind is not None and kind[0] != "numbers":
        return 100
    if cells.dtype != pl.String or not len(cells) or _is_numeric(cells):
        return 0
    words = float(cells.str.split(" ").list.len().mean() or 0)  # type: ignore[arg-type]
    return min(words, 50) + cells.n_unique() / len(cells) + 5 * (name.lower() in _READ)


def _as_target(sample: DataSample, name: str) -> float:
    """How likely a column is one that is predicted: a few classes, then numbers."""
    cells = sample.cells(name)
    few = len(cells) and 1 < cells.n_unique() <= min(MOST_LABELS, len(cells) / _ROWS_EACH)
    return 2 * bool(few) + (cells.dtype == pl.String and _is_numeric(cells)) + 4 * (name.lower() in _PREDICTED)


def _is_numeric(cells: pl.Series) -> bool:
    return cells.dtype == pl.String and len(cells) > 0 and cells.cast(pl.Float64, strict=False).null_count() == 0
