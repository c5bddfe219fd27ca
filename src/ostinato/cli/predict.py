"""`ostinato predict`."""

from __future__ import annotations

import json as json_module
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ostinato.cli.console import format_figure, note, print_json, print_text, stderr
from ostinato.cli.deciding import Abstain, decide
from ostinato.cli.intervening import Intervened
from ostinato.cli.runs_given import AnyRun, any_run
from ostinato.cli.train import Reading
from ostinato.errors import DataError, RecipeError
from ostinato.wording import command

if TYPE_CHECKING:
    from ostinato.metrics.prediction import Prediction


def predict(
    run: AnyRun,
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts, paths of media files, JSON lists; several columns: JSON objects. None: from stdin."
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", help="Predict every row of a file or folder; a forecaster forecasts what comes after it."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Write a table: .csv, .jsonl or .parquet, with the columns of --file and probabilities."),
    ] = None,
    escape_formulas: Annotated[
        bool, typer.Option("--escape-formulas", help="In CSV, put an apostrophe before what a spreadsheet would run.")
    ] = False,
    abstain: Abstain = None,
    intervene: Intervened = None,
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object per row.")] = False,
) -> None:
    """Predict the target of rows.

    Rows come from the command line, one per line from stdin, or from a file.
    """
    _check(rows, file, out, escape_formulas, settings)
    run = any_run(run, settings)
    if file is not None:
        _predict_file(run, file, _Output(out, escape_formulas, json, intervene), abstain, settings or [])
    else:
        _predict_rows(run, rows, _Output(out, escape_formulas, json, intervene), abstain)


@dataclass(frozen=True)
class _Output:
    """Where predictions go: a table at `path`, or else lines on stdout; formulas: escape them in CSV; intervene: what
    is changed for them."""

    path: Path | None
    formulas: bool
    json: bool
    intervene: list[str] | None


def _check(
    rows: list[str] | None, file: str | None, out: Path | None, escape_formulas: bool, settings: list[str] | None
) -> None:
    """Raise `RecipeError` for options that don't go together, before anything is loaded."""
    if out is not None:
        from ostinato.cli.predicted import check_out

        check_out(out)
    if escape_formulas and (out is None or out.suffix.lower() != ".csv"):
        raise RecipeError("`--escape-formulas` only applies with `--out FILE.csv`.")
    if file is not None and rows:
        raise RecipeError(
            f"give rows either in `--file` or on the command line, not both. Received: {file} and {rows[0]!r}."
        )
    if file is None and settings:
        raise RecipeError(f"`--set` says how `--file` is read. Received: {', '.join(settings)}, and no file.")


def _predict_file(run: Path, file: str, output: _Output, abstain: float | None, settings: list[str]) -> None:
    """Every row of a file."""
    from ostinato.cli.predicted import write_file
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    opened = load(run, settings)
    decide(opened, abstain=abstain)
    observer = ConsoleObserver(stderr)
    if output.path is not None:
        asked = {"abstain": abstain, "settings": settings, "intervene": output.intervene}
        count = write_file(opened, file, output.path, observer, output.formulas, asked)
        _say_written(output.path, count, output.json)
        return
    if not output.json and opened.spec.csv_lines([]) is not None:
        found = opened.predict_file(file, observer, intervene=output.intervene)
        for line in opened.spec.csv_lines([prediction for _, _, prediction in found]) or ():
            print_text(line)
        return
    for some in opened.predict_parts(file, observer, intervene=output.intervene):
        for place, preview, prediction in some:
            _show({"place": place, "input": preview}, place, prediction, output.json)


def _predict_rows(run: Path, rows: list[str] | None, output: _Output, abstain: float | None) -> None:
    """Rows of the command line, or of stdin."""
    from ostinato.cli.predicted import write_rows
    from ostinato.run import load

    given = rows or [line.rstrip("\n") for line in sys.stdin if line.strip()]
    if not given:
        raise DataError(
            "no text to predict.",
            hint=f"{command('predict', run, 'A fine film :)')}; or a text a line on stdin",
        )
    opened = load(run)
    decide(opened, abstain=abstain)
    cells = [_parsed(row) for row in given] if opened.spec.reads_json(opened.features) else given
    if output.path is not None:
        count = write_rows(opened, given, cells, output.path, output.formulas, output.intervene)
        _say_written(output.path, count, output.json)
        return
    for text, prediction in zip(given, opened.predict(cells, intervene=output.intervene), strict=True):
        _show({"text": text}, None, prediction, output.json)


def _say_written(out: Path, count: int, json: bool) -> None:
    from ostinato.data.rejects import counted

    if json:
        print_json({"out": str(out), "rows": count})
    else:
        note(f"wrote {out}, {counted(count, 'row')}")


def _parsed(row: str) -> Any:
    try:
        return json_module.loads(row)
    except json_module.JSONDecodeError:
        return row


def _show(named: dict[str, Any], place: str | None, prediction: Prediction, as_json: bool) -> None:
    if as_json:
        print_json({**named, **prediction.to_dict()})
    else:
        print_text((f"{place}\t" if place else "") + _in_words(prediction))


def _in_words(prediction: Prediction) -> str:
    if prediction.text is not None:
        return prediction.text
    if prediction.tags is not None:
        return " ".join(prediction.tags)
    if prediction.value is not None:
        return format_figure(prediction.value)
    if prediction.values is not None:
        return " ".join(_value(value) for value in prediction.values)
    probabilities = prediction.probabilities or {}
    ranked = sorted(probabilities.items(), key=lambda item: -item[1])[:5]
    if prediction.abstained:
        return "\t" + "  ".join(f"{name} {p:.1%}" for name, p in ranked)
    said = prediction.label if prediction.label is not None else ", ".join(prediction.labels or ()) or "(none)"
    return f"{said}\t" + "  ".join(f"{name} {p:.1%}" for name, p in ranked)


def _value(value: Any) -> str:
    if isinstance(value, float):
        return format_figure(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(part) for part in value) + "]"
    return str(value)
