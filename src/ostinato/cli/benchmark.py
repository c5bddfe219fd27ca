"""`ostinato benchmark memory`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostinato.cli.console import note, print_json
from ostinato.cli.tables import print_table, table
from ostinato.errors import RecipeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ostinato.longrange.benchmark import Trial

app = typer.Typer(help="Benchmarks of what models can do.", no_args_is_help=True)


@app.callback()
def benchmark() -> None:
    """Benchmarks of what models can do."""


@app.command()
def memory(
    tasks: Annotated[
        str | None,
        typer.Option(
            help="Names, separated by commas: adding, copy, selective-copy, recall, parity, mod5, s3 (these by "
            "default), a5, sequential-mnist, permuted-mnist."
        ),
    ] = None,
    cells: Annotated[str | None, typer.Option(help="Names of cells; default: lstm,gru,elman.")] = None,
    lengths: Annotated[str | None, typer.Option(help="Steps, separated by commas; default: 100.")] = None,
    minutes: Annotated[
        float | None, typer.Option(help="Processor time for each trial; default: 1, or the preset's.")
    ] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Units; default: 64.")] = None,
    recurrent_init: Annotated[
        str | None, typer.Option(help="Initial recurrent weights: default, orthogonal or identity.")
    ] = None,
    chrono: Annotated[
        int | None, typer.Option(help="Gated cells: initial time constants of up to this many steps.")
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help="A hard task with settings that solve it: adding-1000, adding-5000, parity-400, permuted-mnist."
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and data.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each trial.")] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the table to this file, in Markdown.")] = None,
) -> None:
    """How far back each cell remembers, on synthetic tasks: solved or not, time to solve, and a diagnosis."""
    import torch

    torch.set_num_threads(1)
    if preset is not None:
        given = {"tasks": tasks, "cells": cells, "lengths": lengths, "hidden-size": hidden_size}
        given |= {"recurrent-init": recurrent_init, "chrono": chrono}
        clash = [f"--{name}" for name, value in given.items() if value is not None]
        if clash:
            raise RecipeError(f"`--preset` sets {', '.join(clash)} itself. Received: both.")
        description, running = _preset(preset, minutes, seed)
    else:
        description, running = _grid(tasks, cells, lengths, minutes, hidden_size, recurrent_init, chrono, seed)
    note(description)
    _show(description, running, json, out)


def _show(description: str, running: Iterator[Trial], json: bool, out: Path | None) -> None:
    """Run the trials; print and write what they give."""
    from ostinato.longrange.benchmark import HEADINGS, cells_of, markdown
    from ostinato.storage.files import write_atomically

    trials: list[Trial] = []
    if out is not None:  # fail now, not after the first trial, if it can't be written
        write_atomically(out, markdown(trials, description).encode())
    for trial in running:
        trials.append(trial)
        if json:
            print_json(trial.to_dict())
        if out is not None:
            write_atomically(out, markdown(trials, description).encode())
    if not json:
        shown = table(*HEADINGS)
        for trial in trials:
            shown.add_row(*cells_of(trial))
        print_table(shown)
    if out is not None:
        note(f"written to {out}")


def _preset(name: str, minutes: float | None, seed: int) -> tuple[str, Iterator[Trial]]:
    from dataclasses import replace

    from ostinato.longrange.benchmark import run_trial
    from ostinato.longrange.presets import find_preset

    found = find_preset(name)
    training = found.training if minutes is None else replace(found.training, max_minutes=minutes)

    def run() -> Iterator[Trial]:
        yield run_trial(found.task, found.length, found.model, training, seed, test_length=found.test_length, say=note)

    return f"Preset {name}: {found.title}. Seed {seed}.", run()


def _grid(
    tasks: str | None,
    cells: str | None,
    lengths: str | None,
    minutes: float | None,
    hidden_size: int | None,
    recurrent_init: str | None,
    chrono: int | None,
    seed: int,
) -> tuple[str, Iterator[Trial]]:
    from ostinato.longrange.benchmark import DEFAULT_CELLS, DEFAULT_TASKS, run_benchmark
    from ostinato.longrange.fitting import Training
    from ostinato.longrange.model import ModelSettings

    model = ModelSettings(
        hidden_size=64 if hidden_size is None else hidden_size,
        recurrent_init=recurrent_init or "default",
        chrono=chrono,
    )
    training = Training(max_minutes=1.0 if minutes is None else minutes)
    wanted = DEFAULT_TASKS if tasks is None else _names(tasks)
    trials = run_benchmark(
        wanted,
        DEFAULT_CELLS if cells is None else _names(cells),
        [100] if lengths is None else [_length(text) for text in _names(lengths)],
        model,
        training,
        seed,
        note,
    )
    start = f"{model.recurrent_init} recurrent weights" + (f", chrono {chrono}" if chrono is not None else "")
    return (
        f"{model.hidden_size} units, {start}; Adam {training.learning_rate:g}, {training.batch_size} rows, at most "
        f"{training.max_minutes:g} processor minutes a trial, one thread, seed {seed}.",
        trials,
    )


def _names(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _length(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise RecipeError(f"`lengths` must be positive integers, separated by commas. Received: {text!r}.")
    return int(text)
