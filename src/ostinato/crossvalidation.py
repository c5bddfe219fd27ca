"""Cross-validation: a run per fold, and one page of their scores."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ostinato.data.dataset import Prepared
from ostinato.data.readers.open import open_data
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, MissingLibraryError, RecipeError, RunError
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, halves
from ostinato.recipe import Recipe, Settings, apply_overrides, build_recipe, dump_recipe, named_after_data, read_recipe
from ostinato.report.crossvalidation import Fold, fold_of, summarise, write_page
from ostinato.run import Run, load
from ostinato.storage.files import unused, write_atomically
from ostinato.tasks.prepare import inferred, prepare
from ostinato.training.progress import ConsoleObserver, Observer
from ostinato.training.run_folder import decisions_of
from ostinato.training.train import has_ended, resume_run, train_recipe
from ostinato.wording import A_FILE, option

RESULT_FILE, PAGE_FILE, PREDICTIONS_FILE = "crossvalidation.json", "crossvalidation.html", "predictions.jsonl"
_RECIPE_FILE = "crossvalidation.yaml"


@dataclass(frozen=True)
class CrossValidation:
    """What a cross-validation found.

    folder: with a run a fold (`fold-01`, …), `crossvalidation.json`, `crossvalidation.html` and `predictions.jsonl`;
    results: the content of `crossvalidation.json`: `metrics` (name → mean, sd, folds), `folds`, `pooled`.
    """

    folder: Path
    results: dict[str, Any]


def crossvalidate(
    recipe: Recipe | str | Path,
    *,
    num_folds: int = 10,
    group: str | None = None,
    leave_one_out: str | None = None,
    settings: Settings = (),
    out: str | Path | None = None,
    observer: Observer | None = None,
) -> CrossValidation:
    """Train a run per fold, each scored on its held-out rows, and summarise the scores.

    Every row of `data.train` is held out exactly once; `data.validation` and `data.test` are not used. Where
    `training.keep` is `best`, each half of a fold's rows is scored by the epoch, temperature and threshold that the
    other half chose (cross-fitting); where that can't be (a loss that is no sum over rows), the fold's epoch is chosen
    on the rows that score it, and the page says so. An interrupted cross-validation is resumed.

    Args:
        recipe: a recipe, its file, or the name of a ready one.
        num_folds: k, 2 to the number of rows or groups; default 10.
        group: a column: rows that share its value are held out together.
        leave_one_out: a column: a fold for each of its values, in place of `num_folds` and `group`.
        settings: recipe keys to set, as in `ostinato.train`.
        out: the folder; by default `runs/NAME-crossvalidation`.
        observer: receives progress; by default a display on stderr.

    Raises:
        RecipeError: for a recipe that has no rows to hold out, or arguments that contradict each other.
        RunError: if the folder holds something else.
        DataError: for data that can't be used.

    Example:
        >>> found = crossvalidate("runs/reviews/recipe.yaml", num_folds=2)
        >>> len(found.results["folds"]), found.results["metrics"]["accuracy"]["mean"]
        (2, 0...)
    """
    observer = observer or ConsoleObserver()
    planned, values = _plan(recipe, settings, num_folds, group, leave_one_out, observer)
    folder = Path(out) if out is not None else Path("runs") / f"{planned.name}-crossvalidation"
    count = len(set(values.values())) if leave_one_out else num_folds
    _claim(folder, planned, count)
    folds = [_fold(folder, planned, number, count, values, observer) for number in range(1, count + 1)]
    results = summarise(planned, folds, leave_one_out)
    write_atomically(folder / RESULT_FILE, json.dumps(results, indent=1, ensure_ascii=False).encode())
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for fold in folds for row in fold.predictions)
    write_atomically(folder / PREDICTIONS_FILE, "".join(lines).encode())
    try:
        write_page(folder / PAGE_FILE, results, planned)
    except MissingLibraryError as error:
        observer.note(f"no page: {error}")
    return CrossValidation(folder, results)


def _plan(
    recipe: Recipe | str | Path,
    settings: Settings,
    num_folds: int,
    group: str | None,
    leave_one_out: str | None,
    observer: Observer,
) -> tuple[Recipe, dict[tuple[str, int], str]]:
    """The recipe of all folds, and for leave-one-out the value of each row by its place."""
    if group is not None and leave_one_out is not None:
        raise RecipeError("`group` and `leave_one_out` both say which rows belong together: give one of them.")
    if num_folds < 2:
        raise RecipeError(f"`num_folds` must be at least 2. Received: {num_folds}.")
    mapping = recipe.said if isinstance(recipe, Recipe) else read_recipe(recipe)
    mapping = apply_overrides(mapping, settings)
    if group or leave_one_out:
        mapping = apply_overrides(mapping, {"data.group": group or leave_one_out})
    built = build_recipe(named_after_data(apply_overrides(mapping, {"data.fold": [1, num_folds]})))
    if built.data.train is None:
        raise RecipeError("`data.train` is not set.", hint=A_FILE)
    inferred(built)
    return built, _values_of(built, leave_one_out, observer) if leave_one_out else {}


def apply_fold(recipe: Recipe, number: int, count: int) -> Recipe:
    """The recipe with one of `count` parts held out."""
    return build_recipe(apply_overrides(recipe.said, {"data.fold": [number, count]}))


def _values_of(recipe: Recipe, column: str, observer: Observer) -> dict[tuple[str, int], str]:
    """The value of a column by file and line, of the rows that the recipe takes."""
    where = recipe.data.where
    source = open_data(str(recipe.data.train), recipe, BadRows("skip"), observer.note)
    source.require(column)
    found: dict[tuple[str, int], str] = {}
    for block in source.blocks(source.columns() if where else [column]):
        if where:
            chosen = block.table.select(pl.sql_expr(where).cast(pl.Boolean).fill_null(False)).to_series()
            block = block.keep(chosen.to_numpy())
        for row, value in enumerate(block.table[column].to_list()):
            if value is not None:
                found[block.location(row)] = str(value)
    distinct = len(set(found.values()))
    if distinct < 2:
        raise DataError(f"leaving one value of `{column}` out needs two. Received: {distinct}.")
    return found


def _claim(folder: Path, recipe: Recipe, count: int) -> None:
    """Claim the folder, or resume in it if it holds this very cross-validation."""
    described = f"# {count} folds\n{dump_recipe(recipe)}".encode()
    path = folder / _RECIPE_FILE
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not path.is_file() or path.read_bytes() != described:
            raise RunError(f"`{folder}` already exists.", hint=option("--out", unused(folder)))
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(path, described)


def _fold(
    folder: Path, recipe: Recipe, number: int, count: int, values: dict[tuple[str, int], str], observer: Observer
) -> Fold:
    """Train one fold, or resume it, and score it."""
    place = folder / f"fold-{number:02d}"
    observer.note(f"fold {number} of {count}")
    if not (place / "checkpoint").is_dir():
        train_recipe(apply_fold(recipe, number, count), place, observer)
    elif not has_ended(place):
        resume_run(place, None, observer)
    run = load(place)
    prepared = prepare(run.recipe)
    examples = prepared.validation
    crossed = _crossfitted(run, prepared)
    if crossed is None:
        predictions = run.spec.predict(run.model, examples, run.features, run.device)
        validation = run.summary["validation"]
    else:
        validation, predictions = crossed
    held_out = {values.get(examples.places.location(int(row)), "") for row in examples.rows} if values else set()
    name = ", ".join(sorted(held_out)) if held_out else str(number)
    summary = {**run.summary, "validation": validation}
    decided = {} if crossed else decisions_of(place)
    return fold_of(name, summary, examples, predictions, run.features, decided, crossfitted=crossed is not None)


def _crossfitted(run: Run, prepared: Prepared) -> tuple[Metrics, list[Prediction]] | None:
    """Figures and predictions of the held-out rows, each half of them by the epoch and the decisions that the other
    half chose; None where that is not known, or other units than rows chose."""
    examples, models = prepared.validation, run.halves()
    first = halves(len(examples))
    if not models or not first.any():
        return None
    predictions: list[Prediction | None] = [None] * len(examples)
    found: list[Metrics] = []
    for model, chosen_by in zip(models, (first, ~first), strict=True):
        rows = np.flatnonzero(~chosen_by)
        some = examples.take(rows)
        run.spec.decide(model, replace(prepared, validation=examples.take(np.flatnonzero(chosen_by))), run.device)
        metrics = run.spec.evaluate(model, some, run.features, run.recipe, run.device)
        if SUMS not in metrics or len(metrics[SUMS].values) != len(rows):
            return None
        found.append(metrics)
        for row, one in zip(rows.tolist(), run.spec.predict(model, some, run.features, run.device), strict=True):
            predictions[row] = one
    return _means(found, [int((~first).sum()), int(first.sum())]), [one for one in predictions if one is not None]


def _means(found: list[Metrics], counts: list[int]) -> Metrics:
    """Of each figure that both halves have, the mean over their rows."""
    shares = [count / sum(counts) for count in counts]
    names = [name for name, value in found[0].items() if isinstance(value, int | float) and name in found[1]]
    return {
        name: sum(one[name] for one in found)
        if name.startswith("num_")
        else sum(share * one[name] for share, one in zip(shares, found, strict=True))
        for name in names
    }
