"""`ostinato train`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostinato.cli.console import note, print_json, saying_how_to_resume, stderr, warn
from ostinato.cli.tables import print_metrics
from ostinato.errors import RecipeError, UndecidedError
from ostinato.wording import command

if TYPE_CHECKING:
    from ostinato.recipe import Recipe
    from ostinato.run import Run
    from ostinato.training.progress import Observer


def _settings(incomplete: str) -> list[str]:
    """What `--set` may be completed to."""
    from ostinato.recipe.completion import completed

    return completed(incomplete)


def _ways_to_read(incomplete: str) -> list[str]:
    """As `_settings`, of how files are read."""
    return [one for one in _settings(incomplete) if one.startswith("data.")]


Setting = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set a key of the recipe.", autocompletion=_settings),
]
Reading = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="How files are read: data.on_bad_row=skip leaves bad rows out.",
        autocompletion=_ways_to_read,
    ),
]


def train(
    data: Annotated[str | None, typer.Argument(help="A file, a folder, or a name of the catalogue (imdb).")] = None,
    input: Annotated[str | None, typer.Option(help="The column that holds the sequence.")] = None,
    target: Annotated[
        str | None, typer.Option(help="The column to predict; none: a language model, or the format's usual one.")
    ] = None,
    extra: Annotated[list[str] | None, typer.Option(help="A covariate: a further column to read; repeatable.")] = None,
    recipe: Annotated[str | None, typer.Option(help="A recipe file, or the name of a ready one.")] = None,
    settings: Setting = None,
    minutes: Annotated[float | None, typer.Option(help="Short for --set training.max_minutes=M.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Short for --set training.epochs=N.")] = None,
    lr: Annotated[float | None, typer.Option(help="Short for --set training.learning_rate=X.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Short for --set training.batch_size=N.")] = None,
    hidden_size: Annotated[int | None, typer.Option(help="Short for --set model.hidden_size=N.")] = None,
    seed: Annotated[int | None, typer.Option(help="Short for --set training.seed=N.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run directory; by default runs/NAME.")] = None,
    resume: Annotated[Path | None, typer.Option(metavar="RUN", help="Resume an interrupted run.")] = None,
    force_recipe: Annotated[
        bool,
        typer.Option(
            "--force-recipe", help="With --resume: allow --set to change whatever the saved state still fits."
        ),
    ] = False,
    force_data: Annotated[
        bool, typer.Option("--force-data", help="With --resume: continue although the data has changed.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Train a model on a file or with a recipe, or resume a run."""
    source, others = bool(data or recipe), bool(input or target or extra or out)
    _check_mode(resume, names=source, new=source or others, forced=force_recipe or force_data)
    short = {
        "training.max_minutes": minutes,
        "training.epochs": epochs,
        "training.learning_rate": lr,
        "training.batch_size": batch_size,
        "model.hidden_size": hidden_size,
        "training.seed": seed,
    }
    settings = [*(f"{key}={value}" for key, value in short.items() if value is not None), *(settings or [])]
    wanted = None
    if resume is None:  # before torch is imported: a mistake is reported at once
        from ostinato.recipe import described

        wanted = described(data, input=input, target=target, extra=extra or (), recipe=recipe, settings=settings)
    from ostinato import api
    from ostinato.training.progress import ConsoleObserver

    observer = ConsoleObserver(stderr)
    with saying_how_to_resume():
        if resume is not None:
            run = api.resume(resume, settings, observer, force_recipe=force_recipe, force_data=force_data)
        else:
            run = _trained(wanted, out, observer, ask=not json)
    _show(run, json)


def _check_mode(resume: Path | None, *, names: bool, new: bool, forced: bool) -> None:
    """Raise for options that go with a new run or a resumed one only, or where there is nothing to train on."""
    if resume is not None and new:
        raise RecipeError("`--resume RUN` uses the run's own recipe; only --set and --force-… may be given with it.")
    if resume is None and forced:
        raise RecipeError("`--force-recipe` and `--force-data` only apply with `--resume RUN`.")
    if resume is None and not names:
        raise RecipeError(
            "nothing to train on.",
            hint="a sample file: ostinato data sample reviews.csv; a model of it: ostinato train reviews.csv --input "
            "text --target label; ready recipes: ostinato recipe show",
        )


def _trained(wanted: Recipe | None, out: Path | None, observer: Observer, *, ask: bool) -> Run:
    """A run; where columns are open, with those that are chosen."""
    from ostinato import api

    try:
        return api.train(recipe=wanted, out=out, observer=observer)
    except UndecidedError as error:
        wanted = _answered(error, wanted, ask=ask)
    return api.train(recipe=wanted, out=out, observer=observer)


def _answered(error: UndecidedError, wanted: Recipe | None, *, ask: bool) -> Recipe:
    """The recipe with what somebody at a terminal chose; raises the error where nobody is there, or has left."""
    from ostinato.cli import guided
    from ostinato.recipe import described

    answer = guided.ask(error, stderr) if ask and guided.can_ask(stderr) else None
    if answer is None:
        raise error
    note(command(*sys.argv[1:], *answer.words()))
    return described(recipe=wanted, input=answer.input, target=answer.target, settings=answer.settings)


def _show(run: Run, json: bool) -> None:
    """What training ended with."""
    from ostinato.data.rejects import counted

    summary = run.summary
    if json:
        print_json({"run": str(run.folder), **summary})
        return
    steps = f"{counted(summary['steps'], 'step')} in {summary['seconds']:,.0f} s"
    note(f"{summary['ended']} · {steps} · best epoch {summary['best_epoch']}")
    stderr.print("validation:", style="bold")
    print_metrics(summary["validation"])
    for found in summary.get("findings", ()):
        if found.get("serious", True):
            warn(found["says"], found["hint"])
        else:
            note(f"{found['kind']}: {found['says']}")
    report = run.folder / "report.html"
    stderr.print(f"report: {report}" if report.is_file() else f"run: {run.folder}", markup=False)
