"""`ostinato runs`: what is in a folder of runs, runs side by side, and what can go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.console import format_figure, note, print_json, print_text, stdout
from ostinato.cli.tables import print_table, table
from ostinato.errors import RunError
from ostinato.metrics.names import METRIC_NAMES

_USUAL = Path("runs")
_FILES = ("data.train", "data.validation")
Folder = Annotated[Path, typer.Argument(help="A folder of runs, or a run.")]

app = typer.Typer(help="Runs: list them, put them side by side, remove their checkpoints.", no_args_is_help=True)


@app.command("list")
def list_runs(
    folder: Folder = _USUAL,
    json: Annotated[bool, typer.Option("--json", help="Print the runs as JSON.")] = False,
) -> None:
    """List the runs of a folder: the last that ended first."""
    from ostinato.baselines.conclusion import size
    from ostinato.shelf.facts import run_facts
    from ostinato.shelf.folders import bytes_of, runs_of

    runs = runs_of(folder)
    found = [{**run_facts(name, run), "bytes": bytes_of(run)} for name, run in runs.items()]
    found.sort(key=lambda one: one.get("when") or "9", reverse=True)
    if json:
        print_json(found)
        return
    if not found:
        raise RunError(f"no runs in `{folder}`: `ostinato train` makes one.")
    shown = table("run", "state", "task", "cell", "figure", "value", "steps", "on disk", "finished")
    for one in found:
        figure = one.get("figure") or {}
        value = format_figure(figure["value"]) if figure else "–"
        about = [str(one.get(key) or "–") for key in ("task", "cell")]
        ended = (one.get("when") or "–")[:16].replace("T", " ")
        scored = [figure.get("name", "–"), value, f"{one.get('steps', 0):,}"]
        shown.add_row(one["name"], one["state"], *about, *scored, size(one["bytes"]), ended)
    print_table(shown)


@app.command("compare")
def compare_runs(
    runs: Annotated[list[Path], typer.Argument(help="Two run directories or more.")],
    json: Annotated[bool, typer.Option("--json", help="Print both tables as JSON.")] = False,
) -> None:
    """Put runs side by side: their figures, and the settings in which they differ."""
    from ostinato.shelf.facts import run_details
    from ostinato.shelf.folders import data_of
    from ostinato.training.run_folder import check_run_folder

    if len(runs) < 2:
        raise RunError(f"two runs or more were expected. Received: {runs[0]} alone.")
    for run in runs:
        check_run_folder(run)
    names = [run.resolve().name for run in runs]
    if len(set(names)) < len(names):
        names = [str(run) for run in runs]
    details = [run_details(name, run) for name, run in zip(names, runs, strict=True)]
    data = [data_of(run) for run in runs]
    figures = _rows([{one["key"]: one["value"] for one in each["figures"]} for each in details])
    settings = _rows([each["settings"] for each in details])
    differing = {key: row for key, row in settings.items() if any(one != row[0] for one in row[1:])}
    same_files = all(one == data[0] for one in data[1:])
    if same_files:  # the same bytes, wherever they lie
        differing = {key: row for key, row in differing.items() if key not in _FILES}
    if json:
        print_json({"runs": names, "figures": figures, "settings": differing})
        return
    _side_by_side("figure", names, {METRIC_NAMES.get(key, key): row for key, row in figures.items()})
    stdout.print()
    _side_by_side("setting", names, differing)
    if not same_files or any(key.startswith("data.") for key in differing):
        note("they were trained or validated on different data: their figures are not of the same rows")


def _rows(values: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """By key, the value of each; None where it has none."""
    keys = dict.fromkeys(key for each in values for key in each)
    return {key: [each.get(key) for each in values] for key in keys}


def _side_by_side(heading: str, names: list[str], rows: dict[str, list[Any]]) -> None:
    shown = table(heading, *names)
    for key, row in rows.items():
        shown.add_row(key, *map(_cell, row))
    print_table(shown)


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return format_figure(value) if isinstance(value, float) else str(value)


@app.command("clean")
def clean(
    folders: Annotated[list[Path] | None, typer.Argument(help="Folders of runs, or runs; by default runs.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove the checkpoints of runs that have ended.

    They predict, and are evaluated, as before; they can't be resumed with more epochs or minutes. What still trains, or
    was interrupted, keeps its checkpoints.
    """
    from ostinato.baselines.conclusion import size
    from ostinato.shelf.folders import remove_checkpoints, spare_checkpoints

    found = spare_checkpoints(folders or [_USUAL])
    if not found:
        print_text("no run that has ended holds a checkpoint: nothing to remove")
        return
    shown = table("run", "checkpoints")
    for spare in found:
        shown.add_row(spare.name, size(spare.num_bytes))
    print_table(shown)
    total = size(sum(spare.num_bytes for spare in found))
    if not yes and not typer.confirm(f"Remove {total}?", err=True):
        print_text("nothing was removed")
        return
    for spare in found:
        remove_checkpoints(spare)
    print_text(f"removed {total} of {len(found)} run{'s' if len(found) > 1 else ''}")
