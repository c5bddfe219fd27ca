"""Predictions of a file as a table beside its own columns: CSV, JSONL or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ostinato.data.tables.list_cells import json_list
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.storage.files import json_ready, write_atomically

if TYPE_CHECKING:
    from ostinato.data.readers.base import Source
    from ostinato.metrics.prediction import Prediction
    from ostinato.run import Run
    from ostinato.training.progress import Observer

_FORMULA = r"^([=+\-@\t\r])"
"""How a cell begins that a spreadsheet would run."""
_ANSWERS = ("label", "labels", "value", "text", "tags", "values")
Row = dict[str, Any]


def check_out(path: Path) -> None:
    """Raise `RecipeError` for a file of another kind, `RunError` for a folder that is not there."""
    if path.suffix.lower() not in _WRITERS:
        raise RecipeError(
            f"`--out` must end in {', '.join(_WRITERS)}. Received: {path}.", instead=(str(path), f"{path}.csv")
        )
    if not path.parent.is_dir():
        raise RunError(
            f"there is no folder `{path.parent}` to write `{path.name}` into.", instead=(str(path), path.name)
        )


def write_table(path: Path, rows: Sequence[Row], predictions: Sequence[Row], *, escape_formulas: bool = False) -> None:
    """Write what stood in each row, and its prediction, as a file whose suffix says its form; whole or not at all.

    Args:
        path: of the file.
        rows: cells by column.
        predictions: as `as_columns` gives them; a column that a row has already gets another name.
        escape_formulas: CSV cells that a spreadsheet would take for a formula begin with an apostrophe.
    """
    taken = {name for row in rows[:1] for name in row}
    names = {name: f"{name} (predicted)" if name in taken else name for row in predictions for name in row}
    joined = [
        {**row, **{names[name]: value for name, value in found.items()}}
        for row, found in zip(rows, predictions, strict=True)
    ]
    write_atomically(path, _WRITERS[path.suffix.lower()](joined, escape_formulas))


def write_file(
    run: Run, data: str, out: Path, observer: Observer, escape_formulas: bool, intervene: list[str] | None
) -> int:
    """Predict every row of a file, and write it with its columns; returns how many rows were written."""
    from ostinato.data.readers.open import open_data
    from ostinato.data.rejects import BadRows

    found = run.predict_file(data, observer, intervene=intervene)
    predictions = [prediction for _, _, prediction in found]
    if (lines := run.spec.csv_lines(predictions)) is not None:
        table = [{name: _number(value, name) for name, value in row.items()} for row in csv.DictReader(lines)]
        write_table(out, [{} for _ in table], table, escape_formulas=escape_formulas)
        return len(table)
    source = open_data(data, run.recipe, BadRows("skip"), lambda _: None)
    rows = cells_of(source, [place for place, _, _ in found])
    return _write(out, rows, [preview for _, preview, _ in found], predictions, escape_formulas)


def write_rows(
    run: Run,
    given: Sequence[str],
    cells: list[Any],
    out: Path,
    escape_formulas: bool,
    intervene: list[str] | None,
) -> int:
    """Predict rows given by hand, and write them; returns how many rows were written."""
    predictions = run.predict(cells, intervene=intervene)
    return _write(out, [{"input": text} for text in given], given, predictions, escape_formulas)


def _write(
    out: Path, rows: Sequence[Row], texts: Sequence[str], predictions: Sequence[Prediction], escape_formulas: bool
) -> int:
    """A row a prediction; of tags one a word where a cell holds a single value."""
    flat = out.suffix.lower() != ".jsonl"
    pairs = list[tuple[Row, Row]]()
    for number, (row, text, prediction) in enumerate(zip(rows, texts, predictions, strict=True), 1):
        found, words = as_columns(prediction, flat), words_of(text, len(prediction.tags or ()))
        if prediction.tags is None or words is None:
            pairs.append((row, found))
        elif flat:
            pairs += by_word(number, words, row, found)
        else:
            pairs.append((row, {"words": words, **found}))
    write_table(out, [row for row, _ in pairs], [found for _, found in pairs], escape_formulas=escape_formulas)
    return len(pairs)


def _number(text: str, column: str) -> str | float:
    """A cell of a table of forecasts."""
    return text if column in ("series", "time") else float(text)


def as_columns(prediction: Prediction, flat: bool) -> Row:
    """A prediction by column: `prediction`, the probability of each class (`flat`: a column each), and the rest."""
    found = prediction.to_dict()
    said = next((found.pop(key) for key in _ANSWERS if key in found), None)
    probabilities = found.pop("probabilities", None)
    row: Row = {"prediction": list(said) if isinstance(said, tuple) else said}
    if flat and isinstance(probabilities, Mapping):
        row |= {f"probability {name}": value for name, value in probabilities.items()}
    elif probabilities is not None:
        row["probabilities"] = probabilities
    return {**row, **found.pop("details", {}), **found}


def by_word(number: int, words: Sequence[str], row: Row, prediction: Row) -> list[tuple[Row, Row]]:
    """The row of a tagger as one a word: the row's number, what its columns say of the word, the word, its tag, and how
    sure it is."""
    sure = prediction.get("probabilities") or [None] * len(words)
    steps = {name: _steps(value, len(words)) for name, value in row.items()}
    named = any(values == list(words) for values in steps.values())
    return [
        (
            {"row": number} | {name: row[name] if values is None else values[i] for name, values in steps.items()},
            ({} if named else {"word": word}) | {"prediction": tag} | ({} if p is None else {"probability": p}),
        )
        for i, (word, tag, p) in enumerate(zip(words, prediction["prediction"], sure, strict=True))
    ]


def _steps(cell: Any, count: int) -> list[Any] | None:
    """What a cell says of each step; None where it is no list of so many."""
    values = json_list(cell) if isinstance(cell, str) else cell
    return list(values) if isinstance(values, list) and len(values) == count else None


def words_of(text: str, count: int) -> list[str] | None:
    """The `count` steps of a text: a JSON list, its words, or its letters; None where it has as many of none."""
    listed = json_list(text)
    words = text.split(" ") if listed is None else [str(one) for one in listed]
    return words if len(words) == count else list(text) if len(text) == count else None


def cells_of(source: Source, places: Iterable[str]) -> list[Row]:
    """All columns of rows by where they stand (`file:line`), in the order of the file; pictures are left out."""
    wanted, found = list(places), list[Row]()
    for block in source.blocks(source.columns()):
        frame = block.table.select(name for name, kind in block.table.schema.items() if kind != pl.Array)
        for number, row in enumerate(frame.iter_rows(named=True)):
            if len(found) < len(wanted) and "{}:{}".format(*block.location(number)) == wanted[len(found)]:
                found.append(row)
    if len(found) < len(wanted):
        raise DataError(f"`{source.name}` has changed while it was read.")
    return found


def _as_csv(rows: Sequence[Row], escape_formulas: bool) -> bytes:
    plain = [{name: _in_a_cell(value) for name, value in row.items()} for row in rows]
    frame = pl.DataFrame(plain, infer_schema_length=None)
    if escape_formulas:
        frame = frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'$1"))
    return frame.write_csv().encode()


def _as_jsonl(rows: Sequence[Row], _: bool) -> bytes:
    return "".join(json.dumps(json_ready(row), ensure_ascii=False) + "\n" for row in rows).encode()


def _as_parquet(rows: Sequence[Row], _: bool) -> bytes:
    plain = [{name: _in_a_cell(one) if isinstance(one, Mapping) else one for name, one in row.items()} for row in rows]
    buffer = io.BytesIO()
    pl.DataFrame(plain, infer_schema_length=None, strict=False).write_parquet(buffer)
    return buffer.getvalue()


def _in_a_cell(value: Any) -> Any:
    """What is no single value as JSON."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple | Mapping) else value


_WRITERS: dict[str, Callable[[Sequence[Row], bool], bytes]] = {
    ".csv": _as_csv,
    ".jsonl": _as_jsonl,
    ".parquet": _as_parquet,
}
