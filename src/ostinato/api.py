"""Train a run from data, a recipe or both, or resume one; then baselines and report."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from ostinato.baselines import BASELINES_FILE
from ostinato.data.in_memory import as_table, is_in_memory, written
from ostinato.errors import MissingLibraryError
from ostinato.recipe import Recipe, Settings, apply_overrides, build_recipe, described
from ostinato.run import Run, load
from ostinato.storage.files import read_json
from ostinato.tasks.report_page import REPORT_FILE
from ostinato.training.progress import ConsoleObserver, Observer
from ostinato.training.run_folder import read_recipe_of
from ostinato.training.train import has_ended, resume_run, train_recipe


def train(
    data: Any = None,
    *,
    input: str | None = None,
    target: str | None = None,
    extra: Sequence[str] = (),
    recipe: Recipe | str | Path | None = None,
    settings: Settings = (),
    out: str | Path | None = None,
    observer: Observer | None = None,
    report: bool = True,
) -> Run:
    """Train a model: on data, by a recipe, or both; and write its report.

    Args:
        data: a file, folder or catalogue name; or the data themselves (`data.in_memory.as_table`): a table of pandas,
            polars, Arrow or Hugging Face `datasets`, a mapping of columns, a list of rows, an array (N, L, C). The run
            keeps a copy, and trains on it as on a file.
        input: the column that holds the sequence.
        target: the column to predict; none: a language model, or what the format's usual target is.
        extra: covariates: further columns to read with the input.
        recipe: a recipe, its file, or the name of a ready one.
        settings: recipe keys to set, `{"model.hidden_size": 64}` or `["model.hidden_size=64"]`; `data.validation` and
            `data.test` may be tables, too.
        out: the run directory; by default `runs/NAME`.
        observer: receives progress; by default a display on stderr.
        report: compare with simple baselines, and write `report.html`.

    Raises:
        OstinatoError: for anything that can't be used, before anything is written.
        KeyboardInterrupt: after Ctrl-C, with the run directory, once a checkpoint is written.
    """
    observer = observer or ConsoleObserver()
    with tempfile.TemporaryDirectory(prefix="ostinato-") as given:
        data, input, settings = _in_files(data, input, settings, Path(given))
        wanted = described(data, input=input, target=target, extra=extra, recipe=recipe, settings=settings)
        folder = train_recipe(wanted, Path(out) if out is not None else None, observer, Path(given))
    return _finish(folder, observer) if report else load(folder)


def _in_files(
    data: Any, input: str | None, settings: Settings, folder: Path
) -> tuple[str | Path | None, str | None, Settings]:
    """What is given in memory as files of a folder, each named after its part; a column without a name is the input."""
    if is_in_memory(data):
        table = as_table(data, input)
        if input is None and table.width == 1 and (table.dtypes[0] == pl.String or table.dtypes[0].is_nested()):
            input = table.columns[0]
        data = written(table, folder, "table")
    if isinstance(settings, Mapping):
        for part in ("validation", "test"):
            found = settings.get(f"data.{part}")
            if is_in_memory(found):
                settings = {**settings, f"data.{part}": str(written(as_table(found, input), folder, part))}
    return data, input, settings


def resume(
    folder: str | Path,
    settings: Settings = (),
    observer: Observer | None = None,
    *,
    force_recipe: bool = False,
    force_data: bool = False,
    report: bool = True,
) -> Run:
    """Resume an interrupted run; `settings` may raise its budget (`{"training.epochs": 20}`).

    `force_recipe` lets them change more, `force_data` lets the data have changed; see `training.train.resume_run`.
    `report`: as of `train`.
    """
    saved = read_recipe_of(Path(folder))
    wanted = build_recipe(apply_overrides(saved.model_dump(mode="json"), settings)) if settings else None
    observer = observer or ConsoleObserver()
    if wanted is None and not (Path(folder) / REPORT_FILE).is_file() and has_ended(Path(folder)):
        return _finish(Path(folder), observer)
    path = resume_run(Path(folder), wanted, observer, force_recipe=force_recipe, force_data=force_data)
    return _finish(path, observer) if report else load(path)


def _finish(folder: Path, observer: Observer) -> Run:
    """Open a run, compare it with simple baselines and write its report; a missing library is reported, not fatal.

    Raises `KeyboardInterrupt` with the run directory after Ctrl-C: resuming continues here.
    """
    run = load(folder)
    try:
        _try_baselines(run, observer)
        run.report()
    except MissingLibraryError as error:
        observer.note(f"no report: {error}")
    except KeyboardInterrupt as interrupt:
        raise KeyboardInterrupt(str(folder)) from interrupt
    return run


def _try_baselines(run: Run, observer: Observer) -> None:
    """Within a small budget: the recipe's, and never more than training took."""
    budget = min(run.recipe.training.baselines_seconds, float(run.summary.get("seconds", 0.0)))
    path = run.folder / BASELINES_FILE
    known = path.is_file() and read_json(path).get("steps") == run.summary.get("steps")
    if budget > 0 and run.spec.comparison(run.recipe) is not None and not known:
        found = run.baselines(budget)
        observer.note(found.conclusion)
        for reason in found.passed_over:
            if "not installed" in reason:
                observer.note(f"not tried: {reason}")
