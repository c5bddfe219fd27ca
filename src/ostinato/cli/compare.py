"""`ostinato compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from ostinato.cli.console import format_figure, print_text, show_results, stderr
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Setting
from ostinato.errors import RecipeError


def compare(
    recipe: Annotated[str, typer.Option(help="A recipe file, or the name of a ready one.")],
    cells: Annotated[str, typer.Option(help="Names of cells, separated by commas: rnn,gru,lstm.")] = "",
    vary: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=V1,V2", help="Values of a recipe key to try; repeatable."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each model.")] = 3,
    match: Annotated[str, typer.Option(help="What the models share: parameters, time, or none.")] = "parameters",
    minutes: Annotated[
        float | None, typer.Option(help="With --match time: minutes of processor time (on a GPU: wall time) per run.")
    ] = None,
    settings: Setting = None,
    out: Annotated[Path | None, typer.Option(help="The folder; by default runs/NAME-comparison.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Compare several models, each over several seeds.

    Writes a page on quality and cost.

    After an interruption, the same command resumes.
    """
    if match not in ("parameters", "time", "none"):
        raise RecipeError(f"`--match` must be parameters, time or none. Received: {match!r}.")
    from ostinato.comparison import compare as run_all
    from ostinato.training.progress import ConsoleObserver

    found = run_all(
        recipe,
        cells=[name.strip() for name in cells.split(",") if name.strip()],
        vary=dict(_varied(each) for each in vary or []),
        num_seeds=seeds,
        match=cast("Literal['parameters', 'time', 'none']", match),
        minutes=minutes,
        settings=settings or [],
        out=out,
        observer=ConsoleObserver(stderr),
    )
    show_results(found.folder, found.results, "comparison.html", _print, json=json)


def _varied(text: str) -> tuple[str, list[Any]]:
    import yaml

    key, equals, values = text.partition("=")
    found = yaml.safe_load(f"[{values}]") if equals else []
    if not key.strip() or not found:
        raise RecipeError(
            f"`--vary` needs key=value,value. Received: {text!r}.", instead=(text, "model.hidden_size=64,128")
        )
    return key.strip(), cast("list[Any]", found)


def _print(results: dict[str, Any]) -> None:
    metric = results["metric"].replace("_", " ")
    shown = table("model", "hidden", "parameters", metric, "± sd", "clearly behind", "CPU s", "MB", "MFLOP a step")
    for row in results["variants"]:
        behind = {None: "–", True: "yes", False: "no"}[row["clear"]]
        shown.add_row(
            row["name"],
            f"{row['hidden_size']:,}",
            f"{row['num_parameters']:,}",
            format_figure(row["mean"]),
            "–" if row["sd"] is None else format_figure(row["sd"]),
            behind,
            f"{row['cpu_s']:,.0f}",
            f"{row['peak_bytes'] / 1e6:,.0f}",
            f"{row['flops_per_step'] / 1e6:.2f}",
        )
    print_table(shown)
    print_text(results["sentence"])
