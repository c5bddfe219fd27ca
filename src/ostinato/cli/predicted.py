"""Predictions of a file as a table beside its own columns: CSV, JSONL or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from ostinato.cli.predicted_parts import ROWS, PartFiles, state_of
from ostinato.data.readers.open import open_data
from ostinato.data.rejects import BadRows
from ostinato.data.tables.list_cells import json_list
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.storage.files import json_ready, write_atomically
from ostinato.training.run_folder import checksums

if TYPE_CHECKING:
    from ostinato.data.readers.base import Source
    from ostinato.metrics.prediction import Prediction
    from ostinato.run import Run
    from ostinato.training.progress import Observer

_FORMULA = r"^([=+\-@\t\r])"
"""How a cell begins that a spreadsheet would run."""
_SUFFIXES = (".csv", ".jsonl", ".parquet")
_ANSWERS = ("label", "labels", "value", "text", "tags", "values")
Row = dict[str, Any]


def check_out(path: Path) -> None:
    """Raise `RecipeError` for a file of another kind, `RunError` for a folder that is not there."""
    if path.suffix.lower() not in _SUFFIXES:
        raise RecipeError(
            f"`--out` must end in {', '.join(_SUFFIXES)}. Received: {path}.", instead=(str(path), f"{path}.csv")
        )
    if not path.parent.is_dir():
        raise RunError(
            f"there is no folder `{path.parent}` to write `{path.name}` into.", instead=(str(path), path.name)
        )


def write_file(
    run: Run, data: str, out: Path, observer: Observer, escape_formulas: bool, asked: Mapping[str, Any]
) -> int:
    """Predict every row of a file, and write it with its columns; returns how many rows were written.

    A file of many rows is written in parts, and after an interruption the same call resumes.

    Args:
        run: with decisions and settings as they were asked for.
        data: the file.
        out: what is written; its suffix says the form.
        observer: receives progress.
        escape_formulas: CSV cells that a spreadsheet would take for a formula begin with an apostrophe.
        asked: what the answers depend on beside the run and the data, `intervene` among it.
    """
    intervene = asked.get("intervene")
    if run.spec.csv_lines([]) is not None:
        predictions = [prediction for _, _, prediction in run.predict_file(data, observer, intervene=intervene)]
        lines = run.spec.csv_lines(predictions) or iter(())
        table = [{name: _number(value, name) for name, value in row.items()} for row in csv.DictReader(lines)]
        write_atomically(out, as_bytes(table, out.suffix, escape_formulas))
        return len(table)
    facts = {"run": checksums(run.folder), "data": state_of(data), "asked": asked, "escaped": escape_formulas}
    parts = PartFiles(out, json_ready(facts))
    if parts.done:
        observer.note(f"{parts.num_rows:,} rows were written before the interruption: resumed after them")
    found = chain.from_iterable(run.predict_parts(data, observer, first=parts.done * ROWS, intervene=intervene))
    cells = _cells_of(open_data(data, run.recipe, BadRows("skip"), lambda _: None))
    while some := list(islice(found, ROWS)):
        rows = [_row_at(place, cells, data) for place, _, _ in some]
        texts, predictions = [text for _, text, _ in some], [prediction for _, _, prediction in some]
        table = _table(out.suffix, rows, texts, predictions, parts.done * ROWS)
        if len(some) < ROWS and not parts.done:
            parts.discard()
            write_atomically(out, as_bytes(table, out.suffix, escape_formulas))
            return len(table)
        parts.add(as_bytes(table, out.suffix, escape_formulas, part=True), len(table))
    parts.finish()
    return parts.num_rows


def write_rows(
    run: Run, given: Sequence[str], cells: list[Any], out: Path, escape_formulas: bool, intervene: list[str] | None
) -> int:
    """Predict rows given by hand, and write them; returns how many rows were written."""
    predictions = run.predict(cells, intervene=intervene)
    table = _table(out.suffix, [{"input": text} for text in given], given, predictions)
    write_atomically(out, as_bytes(table, out.suffix, escape_formulas))
    return len(table)


def _table(
    suffix: str, rows: Sequence[Row], texts: Sequence[str], predictions: Sequence[Prediction], before: int = 0
) -> list[Row]:
    """A row a prediction; of tags one a word where a cell holds a single value. `before`: rows of earlier parts."""
    flat = suffix.lower() != ".jsonl"
    pairs = list[tuple[Row, Row]]()
    for number, (row, text, prediction) in enumerate(zip(rows, texts, predictions, strict=True), before + 1):
        found, words = as_columns(prediction, flat), words_of(text, len(prediction.tags or ()))
        if prediction.tags is None or words is None:
            pairs.append((row, found))
        elif flat:
            pairs += by_word(number, words, row, found)
        else:
            pairs.append((row, {"words": words, **found}))
    taken = {name for row, _ in pairs[:1] for name in row}
    names = {name: f"{name} (predicted)" if name in taken else name for _, found in pairs for name in found}
    return [{**row, **{names[name]: value for name, value in found.items()}} for row, found in pairs]


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


def _cells_of(source: Source) -> Iterator[tuple[str, Row]]:
    """Where each row stands (`file:line`), and all of its columns; pictures are left out."""
    for block in source.blocks(source.columns()):
        frame = block.table.select(name for name, kind in block.table.schema.items() if kind != pl.Array)
        for number, row in enumerate(frame.iter_rows(named=True)):
            yield "{}:{}".format(*block.location(number)), row


def _row_at(wanted: str, cells: Iterator[tuple[str, Row]], data: str) -> Row:
    """The next row that stands there. Raises `DataError` where there is none."""
    for place, row in cells:
        if place == wanted:
            return row
    raise DataError(f"`{data}` has changed while it was read.")


def as_bytes(rows: Sequence[Row], suffix: str, escape_formulas: bool, *, part: bool = False) -> bytes:
    """A file of the rows.

    Args:
        rows: by column.
        suffix: `.csv`, `.jsonl` or `.parquet`.
        escape_formulas: CSV cells that a spreadsheet would take for a formula begin with an apostrophe.
        part: of a longer file (`PartFiles`), in which types of columns are still known.
    """
    form = suffix.lower()
    if form == ".jsonl":
        return "".join(json.dumps(json_ready(row), ensure_ascii=False) + "\n" for row in rows).encode()
    in_a_cell = (list, tuple, Mapping) if form == ".csv" else (Mapping,)
    plain = [
        {name: json.dumps(one, ensure_ascii=False) if isinstance(one, in_a_cell) else one for name, one in row.items()}
        for row in rows
    ]
    frame = pl.DataFrame(plain, infer_schema_length=None, strict=form == ".csv")
    if form == ".csv" and escape_formulas:
        frame = frame.with_columns(pl.col(pl.String).str.replace(_FORMULA, "'$1"))
    if form == ".csv" and not part:
        return frame.write_csv().encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
