"""`ostinato baselines`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from ostinato.cli.console import note, print_json, print_text, stdout
from ostinato.cli.runs_given import RunFolder, check_run
from ostinato.cli.tables import print_table, table

if TYPE_CHECKING:
    from ostinato.baselines import Baselines
    from ostinato.run import Run


def baselines(
    run: RunFolder,
    budget: Annotated[
        float, typer.Option("--budget", metavar="SECONDS", min=0.0, help="Time for all baselines together.")
    ] = 120.0,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare a run with simple baselines on its own data.

    Is recurrence worth it?
    Prints quality on the validation data, training time, size and latency, and a one-sentence conclusion. The model is
    not changed. Writes RUN/baselines.json and updates RUN/report.html.
    """
    check_run(run)
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    opened = load(run)
    found = opened.baselines(budget, observer=ConsoleObserver())
    if json:
        print_json(found.to_dict())
    else:
        _print(found)
    _report(opened)


def _print(found: Baselines) -> None:
    from ostinato.report.baselines import table_of

    shown = table_of(found)
    made = table("method", *shown["columns"], "this model is", "training", "size", shown["question"])
    for row in shown["rows"]:
        cells = [*row["values"], row["gap"] or "–", row["seconds"], row["size"], row["latency"]]
        made.add_row(row["name"], *cells, style="bold" if row["own"] else None)
    print_table(made)
    for reason in found.passed_over:
        note(f"not tried: {reason}")
    if found.scored:
        note(found.scored)
    stdout.print()
    print_text(found.conclusion)


def _report(run: Run) -> None:
    """Update the report; without its libraries or the run's data, say so: the figures are printed already."""
    from ostinato.errors import DataError, MissingLibraryError

    try:
        note(f"updated {run.report()}")
    except (DataError, MissingLibraryError) as error:
        note(f"no report: {error}")
