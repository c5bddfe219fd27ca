"""`ostinato crossvalidate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.console import format_figure, show_results, stderr, stdout
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Setting
from ostinato.errors import RecipeError
from ostinato.metrics.names import METRIC_NAMES


def crossvalidate(
    recipe: Annotated[str, typer.Argument(help="A recipe file, or the name of a ready one.")],
    folds: Annotated[int | None, typer.Option(min=2, help="Number of folds; default: 10.")] = None,
    group: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="A column; rows with the same value are held out together.")
    ] = None,
    leave_one_out: Annotated[
        str | None, typer.Option("--leave-one-out", metavar="COLUMN", help="A column; one fold for each of its values.")
    ] = None,
    settings: Setting = None,
    out: Annotated[Path | None, typer.Option(help="The folder; by default runs/NAME-crossvalidation.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train a run per fold and score it on the held-out rows.

    After an interruption, the same command resumes.
    """
    if folds is not None and leave_one_out is not None:
        raise RecipeError("`--leave-one-out` makes a fold for each value: leave --folds out.")
    from ostinato.crossvalidation import crossvalidate as run_folds
    from ostinato.training.progress import ConsoleObserver

    found = run_folds(
        recipe,
        num_folds=folds or 10,
        group=group,
        leave_one_out=leave_one_out,
        settings=settings or [],
        out=out,
        observer=ConsoleObserver(stderr),
    )
    show_results(found.folder, found.results, "crossvalidation.html", _print, json=json)


def _print(results: dict[str, Any]) -> None:
    pooled = results["pooled"] or {}
    shown = table("metric", "mean", "sd", "pooled")
    for name, row in results["metrics"].items():
        together = format_figure(pooled.get(name)) if pooled else "–"
        shown.add_row(METRIC_NAMES.get(name, name), format_figure(row["mean"]), format_figure(row["sd"]), together)
    print_table(shown)
    stdout.print()
    names = list(results["metrics"])[:4]
    each = table(results["left_out"] or "fold", "rows", *(METRIC_NAMES.get(name, name) for name in names), "seconds")
    for fold in results["folds"]:
        figures = [format_figure(fold["metrics"][name]) for name in names]
        each.add_row(fold["name"], f"{fold['num_examples']:,}", *figures, f"{fold['seconds']:.1f}")
    print_table(each)
