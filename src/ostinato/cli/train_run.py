"""Training as the command line does it: with a progress bar, and a report at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ostinato.cli.console import note, stderr
from ostinato.data.dataset import prepare
from ostinato.errors import RunError
from ostinato.recipe import apply_overrides, build_recipe, read_recipe
from ostinato.run import Run, load, name_of
from ostinato.training.progress import ConsoleObserver
from ostinato.training.train import read_recipe_of, resume_run, train_recipe


def train_and_report(
    data: str | None,
    input: str | None,
    target: str | None,
    recipe: str | None,
    settings: Sequence[str],
    out: Path | None,
) -> Run:
    """Train, write the report, and return the run."""
    mapping = read_recipe(recipe) if recipe else {}
    section = mapping.setdefault("data", {})
    given = {"train": data, "input": input, "target": target}
    section.update({key: value for key, value in given.items() if value is not None})
    mapping = apply_overrides(mapping, settings)
    source = mapping.get("data", {}).get("train") if isinstance(mapping.get("data"), dict) else None
    if "name" not in mapping and source:
        mapping["name"] = name_of(str(source))
    observer = _observer()
    try:
        folder = train_recipe(build_recipe(mapping), out, observer)
    except KeyboardInterrupt as interrupt:
        _say_interrupted(interrupt)
        raise
    return _with_report(folder)


def resume_and_report(folder: Path, settings: Sequence[str]) -> Run:
    """Go on with a run, write the report, and return the run."""
    saved = read_recipe_of(folder)
    wanted = build_recipe(apply_overrides(saved.model_dump(mode="json"), settings)) if settings else None
    try:
        resume_run(folder, wanted, _observer())
    except KeyboardInterrupt as interrupt:
        _say_interrupted(interrupt)
        raise
    return _with_report(folder)


def _with_report(folder: Path) -> Run:
    """Open a run and write its report; where the report's libraries are missing, say so and go on."""
    from ostinato.evaluation.report import write_report

    run = load(folder)
    try:
        write_report(run.folder, run.recipe, run.features, run.model, prepare(run.recipe), run.device)
    except RunError as error:
        note(f"no report: {error}")
    return run


def _observer() -> ConsoleObserver:
    return ConsoleObserver(stderr)


def _say_interrupted(interrupt: KeyboardInterrupt) -> None:
    folder = interrupt.args[0] if interrupt.args else None
    if folder:
        stderr.print(f"interrupted; go on with: ostinato train --resume {folder}", markup=False)
