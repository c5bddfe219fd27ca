"""`ostinato diagnose`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from ostinato.cli.console import note, print_json, print_text, stdout
from ostinato.cli.runs_given import RunFolder, check_run
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Reading
from ostinato.wording import command

if TYPE_CHECKING:
    from ostinato.run import Run


def diagnose(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option("--data", help="A file or catalogue name; default: the run's validation data.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=1, help="Rows drawn from the data.")] = 64,
    steps: Annotated[
        int | None, typer.Option("--steps", min=2, help="Steps per row; default: 400, or four training windows.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the draw.")] = 0,
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print the diagnosis as JSON.")] = False,
) -> None:
    """Diagnose how far back a model remembers, and why.

    The model is not changed. Writes RUN/diagnosis.json and adds plots to RUN/report.html.
    """
    check_run(run, settings)
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    opened = load(run, settings or [])
    observer = ConsoleObserver()
    found = opened.diagnose(data, num_rows=rows, num_steps=steps, seed=seed, observer=observer).to_dict()
    if json:
        print_json(found)
    else:
        for part in (found, *found["parts"]):
            _print(part, command("train", "--recipe", run / "recipe.yaml"))
    _report(opened)


def _report(run: Run) -> None:
    """Update the report; without its libraries or the run's data, say so: the diagnosis is printed already."""
    from ostinato.errors import DataError, MissingLibraryError

    try:
        note(f"with plots: {run.report()}")
    except (DataError, MissingLibraryError) as error:
        note(f"no report: {error}")


def _print(found: dict[str, Any], again: str) -> None:
    from ostinato.cli.typed import as_called
    from ostinato.report.diagnosis import layer_rows

    if found["name"]:
        stdout.print(found["name"], style="bold", markup=False)
    note(f"{found['num_rows']} rows of up to {found['num_steps']} steps")
    _print_horizons(found)
    stdout.print()
    layers = layer_rows(found)
    shown = table("", *(row["layer"] for row in layers))
    for name, values in _lines(layers):
        shown.add_row(name, *values)
    print_table(shown)
    for remark in found["remarks"]:
        print_text(remark)
    for layer in found["activations"]:
        if layer["note"]:
            print_text(f"{layer['layer']}: {layer['note']}")
    stdout.print()
    if not found["advice"]:
        print_text("no change needed")
    for advice in (*found["advice"], *found["notes"]):
        style = "green" if advice["kind"] == "fine" else "bold yellow"
        stdout.print(advice["kind"].replace("_", " "), style=style, end=": ")
        print_text(advice["says"])
        for line in advice["evidence"]:
            print_text(f"    {line}")
        if advice["change"]:
            print_text(as_called(f"    try: {again} {advice['change']}"))


def _print_horizons(found: dict[str, Any]) -> None:
    horizon, training = found["horizon"], found["training"] or {}
    shown = table("how far", "steps", "")
    where = " on either side of a step" if found["around"] else " before the answer" if found["horizon_ahead"] else ""
    shown.add_row("memory horizon", *_horizon(horizon, where))
    if found["horizon_ahead"]:
        shown.add_row("memory horizon ahead", *_horizon(found["horizon_ahead"], " after the answer"))
    shown.add_row("gradient horizon", f"{found['gradient_horizon']}", "99 % of the gradient through time")
    if training.get("reach"):
        shown.add_row("training.bptt", f"{training['reach']}", "where gradients ended in training")
    print_table(shown)
    gain, error = horizon["gain"], horizon["gain_error"]
    if gain is not None and error is not None:
        print_text(f"what context gives: {gain:.4f} ± {error:.4f} of loss ({horizon['full_loss']:.4f} with all of it)")


def _horizon(horizon: dict[str, Any], where: str) -> tuple[str, str]:
    if len(horizon["context"]) == 1:
        return "–", "not measured: there is no loss with less context"
    if horizon["steps"] is None:
        return "none", f"no gain from context{where} beyond noise"
    return (
        f"{horizon['steps']:.0f}",
        f"99 % of what context{where} gives ({horizon['low']:.0f} to {horizon['high']:.0f})",
    )


def _lines(layers: list[dict[str, Any]]) -> list[tuple[str, list[str]]]:
    """One line per figure, with one value per layer."""
    return [
        ("gradient horizon, steps", [str(row["gradient_horizon"]) for row in layers]),
        ("gradient's factor a step back", [_figure(row["factor"]) for row in layers]),
        ("Lyapunov exponent, nats a step", [_exponent(row) for row in layers]),
        ("regime", [row["regime"] or "–" for row in layers]),
        ("time constant of the state, steps", [_figure(row["lasts"]) for row in layers]),
        ("spectral radius of the weights", [_figure(row["radius"]) for row in layers]),
        ("gate time constants, steps (5, 50, 95 %)", [_constants(row) for row in layers]),
        ("saturated", [", ".join(f"{k} {v:.0%}" for k, v in row["saturated"].items()) or "–" for row in layers]),
        ("dead units", [f"{row['dead']} of {row['units']}" for row in layers]),
    ]


def _exponent(row: dict[str, Any]) -> str:
    return "–" if row["exponent"] is None else f"{row['exponent']:+.3g} ({row['low']:+.3g} to {row['high']:+.3g})"


def _constants(row: dict[str, Any]) -> str:
    return (
        ", ".join("∞" if value is None else f"{value:.2g}" for value in row["constants"]) if row["constants"] else "–"
    )


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
