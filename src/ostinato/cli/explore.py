"""`ostinato explore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ostinato.cli.console import note, print_json, print_text, stdout
from ostinato.cli.runs_given import RunFolder, check_run
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Reading

if TYPE_CHECKING:
    from ostinato.exploration import Ablation, Exploration, Unit
    from ostinato.exploration.exploration import Answered
    from ostinato.run import Run

_SHOWN_STEPS = 320
_WRITTEN = 300
_RANKED = 20


def explore(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option("--data", help="A file or catalogue name; default: the run's validation data.")
    ] = None,
    question: Annotated[
        list[str] | None,
        typer.Option("--question", "-q", help="Which units tell this of each step: inside('\"'), token in 'aeiou', …"),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=40, help="Steps that are read.")] = 10_000,
    nearest: Annotated[
        int | None, typer.Option("--nearest", min=0, help="Show moments whose state is like that after this step.")
    ] = None,
    intervene: Annotated[
        list[str] | None,
        typer.Option("--intervene", help="Change units after every step, 'layer 1.c[3]=0': what is written then."),
    ] = None,
    prompt: Annotated[str, typer.Option("--prompt", help="What is gone on from, with --intervene.")] = "The ",
    begin: Annotated[
        int, typer.Option("--from", min=0, help="Steps of the prompt that are read untouched, with --intervene.")
    ] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of what is written, with --intervene.")] = 0,
    save: Annotated[Path | None, typer.Option("--save", help="Write all arrays to this NumPy archive.")] = None,
    ablate: Annotated[
        bool, typer.Option("--ablate", help="Rank units by what holding each at its mean adds to the loss.")
    ] = False,
    track: Annotated[
        bool, typer.Option("--track", help="Keep all steps in files beside the run, which the page shows at any scale.")
    ] = False,
    gates: Annotated[bool, typer.Option("--gates/--no-gates", help="Keep gates, too, with --track.")] = True,
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print what was found as JSON.")] = False,
) -> None:
    """Look at what the units of a network do, step by step.

    For each question the units whose value tells the answer, scored on steps that did not choose them.
    """
    check_run(run, settings)
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    opened = load(run, settings or [])
    if intervene:
        _print_written(opened, intervene, prompt, begin, seed, json)
        return
    if ablate:
        _print_ablation(opened.ablate(data, say=note, progress=ConsoleObserver().rows), json)
        return
    if track:
        kept = opened.track(data, num_steps=steps, gates=gates, say=note, progress=ConsoleObserver().rows)
        found = kept.exploration
        note(f"{kept.folder}: {kept.facts['bytes'] / 1e6:,.0f} MB; ostinato ui {run} shows it under States")
    else:
        found = opened.explore(data, num_steps=steps, observer=ConsoleObserver())
    if save is not None:
        found.save(save)
        note(f"arrays: {save}")
    _print_found(found, question or [], nearest, json)


def _print_found(found: Exploration, questions: list[str], nearest: int | None, json: bool) -> None:
    answered = [found.answer(one) for one in questions]
    moments = [] if nearest is None else found.nearest(nearest)
    if json:
        print_json(
            {
                "num_steps": found.num_steps,
                "series": {name: part.shape[1] for name, part in found.series.items()},
                "questions": [one.to_dict() for one in answered],
                "nearest": [one.__dict__ for one in moments],
            }
        )
        return
    _print_series(found)
    for one in answered:
        _print_answer(found, one)
    for moment in moments:
        print_text(f"step {moment.step:,}, {moment.distance:.2f} away: {moment.around!r}")
    if not answered:
        print_text("ask what units tell: -q \"token in 'aeiou'\", -q \"inside('(', ')')\", -q \"since('\\n')\"")


def _print_written(run: Run, interventions: list[str], prompt: str, begin: int, seed: int, json: bool) -> None:
    """What a model writes as it is, and with its units changed, from the same prompt and seed."""
    from ostinato.exploration.continuing import continue_run

    found = continue_run(run, interventions, prompt, begin=begin, max_new_tokens=_WRITTEN, temperature=0.7, seed=seed)
    if json:
        print_json({"prompt": prompt, "seed": seed, "interventions": interventions, **found})
        return
    for name, text in (("untouched", found["untouched"]), (", ".join(interventions), found["changed"])):
        stdout.print(f"{name}:", style="bold", markup=False)
        print_text(prompt + text)


def _print_ablation(found: Ablation, json: bool) -> None:
    if json:
        print_json(found.to_dict())
        return
    note(f"{found.num_windows} windows of {found.num_steps} steps; untouched {found.loss:.4f} nats a step")
    shown = table("unit held at its mean", "nats a step more", "standard error")
    for one in found.units[:_RANKED]:
        shown.add_row(f"{one.part}[{one.unit}]", f"{one.change:+.4f}", f"{one.error:.4f}")
    print_table(shown)


def _print_series(found: Exploration) -> None:
    note(f"{found.num_steps:,} steps of {len(set(found.rows.tolist())):,} rows")
    shown = table("", "units", "mean", "standard deviation", "time constant, steps")
    for name, part in found.series.items():
        constants = found.time_constants.get(name.rsplit(".", 1)[0]) if found.is_state(name) else None
        range_of = "" if constants is None else f"{_steps(constants.min())} to {_steps(constants.max())}"
        shown.add_row(name, f"{part.shape[1]:,}", f"{part.mean():.3f}", f"{part.std():.3f}", range_of)
    print_table(shown)


def _steps(value: float) -> str:
    return "without end" if value > 1e6 else f"{value:.3g}"


def _print_answer(found: Exploration, one: Answered) -> None:
    stdout.print()
    stdout.print(one.question, style="bold", markup=False)
    if not one.units:
        print_text("has one answer at all steps of a half of the data: no unit could tell it (--steps reads more)")
        return
    shown = table("unit", "r")
    for unit in one.units[:5]:
        shown.add_row(_name(unit), f"{unit.correlation:+.3f}")
    print_table(shown)
    probe = " + ".join(_name(unit) for unit in one.probe) or "none"
    print_text(f"linear probe: {probe}; R² {one.r_squared:.3f} on steps that did not fit it")
    if found.columns["token"].dtype.kind == "U":
        stdout.print(_coloured(found, one.units[0]))


def _name(unit: Unit) -> str:
    return f"{unit.series}[{unit.unit}]"


def _coloured(found: Exploration, unit: Unit) -> Text:
    """The first steps, each on a ground of its unit's value: red high, blue low."""
    values, tokens = found.series[unit.series][:_SHOWN_STEPS, unit.unit], found.columns["token"][:_SHOWN_STEPS]
    low, high = float(values.min()), float(values.max())
    text = Text()
    for token, value in zip(tokens.tolist(), values.tolist(), strict=True):
        share = 2 * (value - low) / (high - low) - 1 if high > low else 0.0
        fade = round(255 * (1 - abs(share)))
        ground = f"rgb(255,{fade},{fade})" if share > 0 else f"rgb({fade},{fade},255)"
        shown = token.replace("\n", "⏎\n") + found.separator
        text.append(shown, style=f"black on {ground}")
    return text
