"""What all estimators share: their parameters, training by `ostinato.train`, and their run when they are pickled."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import polars as pl
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from ostinato.api import resume, train
from ostinato.data.in_memory import written
from ostinato.data.readers.parquet import IN_MEMORY
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.metrics.prediction import Prediction
from ostinato.recipe import build_recipe
from ostinato.run import Run, load
from ostinato.sklearn.rows import chosen, joined, read_rows
from ostinato.storage.unpack import own_folder, remove_own
from ostinato.training.progress import ConsoleObserver, Observer

_OPTIONS = {
    "cell": "model.cell",
    "hidden_size": "model.hidden_size",
    "num_layers": "model.num_layers",
    "bidirectional": "model.bidirectional",
    "learning_rate": "training.learning_rate",
    "batch_size": "training.batch_size",
    "epochs": "training.epochs",
    "max_steps": "training.steps",
    "minutes": "training.max_minutes",
}
"""Parameters that are options of a recipe."""
_LARGEST_SEED = 2**31 - 1


class SequenceEstimator(BaseEstimator):  # type: ignore[misc]
    """A recurrent network as an estimator; `run_` is what `ostinato.train` returns, with all it can do.

    Args:
        cell: any registered cell (`lstm`, `gru`, …); none, here and below: as the recipe says, or by a plan.
        hidden_size: units of a layer.
        num_layers: recurrent layers.
        bidirectional: whether sequences are read from both ends.
        learning_rate: of the optimiser.
        batch_size: rows of a step.
        epochs: how often all rows are read; none: a plan says.
        max_steps: stop after so many steps.
        minutes: stop after so long.
        input: the column of sequences, where X is a table and it could be several.
        extra: columns that are read beside it.
        validation_fraction: the share of the rows that picks the best epoch.
        random_state: seed of the weights and of the batches.
        recipe: a recipe, a mapping, its file, or the name of a ready one.
        options: any option of a recipe by its name, {"model.pooling": ["mean"]}; they win over all others.
        verbose: show progress.
    """

    task: ClassVar[str] = ""

    def __init__(
        self,
        *,
        cell: str | None = None,
        hidden_size: int | None = None,
        num_layers: int | None = None,
        bidirectional: bool | None = None,
        learning_rate: float | None = None,
        batch_size: int | None = None,
        epochs: int | None = None,
        max_steps: int | None = None,
        minutes: float | None = None,
        input: str | None = None,
        extra: tuple[str, ...] = (),
        validation_fraction: float = 0.1,
        random_state: Any = 0,
        recipe: Any = None,
        options: Mapping[str, Any] | None = None,
        verbose: bool = False,
    ) -> None:
        self.cell, self.hidden_size, self.num_layers, self.bidirectional = cell, hidden_size, num_layers, bidirectional
        self.learning_rate, self.batch_size = learning_rate, batch_size
        self.epochs, self.max_steps, self.minutes = epochs, max_steps, minutes
        self.input, self.extra, self.validation_fraction = input, extra, validation_fraction
        self.random_state, self.recipe, self.options, self.verbose = random_state, recipe, options, verbose

    def __sklearn_is_fitted__(self) -> bool:
        """Whether there is a run."""
        return hasattr(self, "run_")

    def __sklearn_tags__(self) -> Any:
        """Sequences may be rows of two or three dimensions, or texts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = tags.input_tags.string = True
        return tags

    def __getstate__(self) -> dict[str, Any]:
        """With the files of the run, but for the data it was trained on."""
        state: dict[str, Any] = dict(super().__getstate__())
        run: Run | None = state.pop("run_", None)
        if run is not None:
            if not run.folder.is_dir():
                raise RunError(
                    f"the folder of the run is gone, `{run.folder}`: the estimator can't be saved. Fit it again."
                )
            files = (path for path in run.folder.rglob("*") if path.is_file() and not path.name.endswith(IN_MEMORY))
            state["_files"] = {str(path.relative_to(run.folder)): path.read_bytes() for path in files}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files: dict[str, bytes] | None = state.pop("_files", None)
        super().__setstate__(state)
        if files is not None:
            with _folder() as (folder, stack):
                for name, content in files.items():
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    (folder / name).write_bytes(content)
                self.run_ = _kept(load(folder), stack)

    # ---- rows -------------------------------------------------------------------------------------------------------
    def _read(self, X: Any, *, reset: bool, fewest: int = 1) -> pl.DataFrame:
        """The columns that are read of X."""
        given = read_rows(self, X, reset=reset, fewest=fewest)
        if reset:
            self._columns = chosen(given, self.input, tuple(self.extra)), tuple(self.extra)
        input, extra = self._columns
        table = given if self.input is not None else joined(given, extra)
        if table.width == 1 and not extra:
            table = table.rename({table.columns[0]: input})
        missing = [name for name in (input, *extra) if name not in table.columns]
        if missing:
            raise DataError(f"`{missing[0]}` must be a column of X. Received: {', '.join(given.columns)}.")
        return table.select(input, *extra)

    def _predictions(self, X: Any) -> list[Prediction]:
        check_is_fitted(self)
        return self.run_.predict(self._read(X, reset=False))

    def _weighted(self, table: pl.DataFrame, sample_weight: Any) -> tuple[pl.DataFrame, dict[str, Any]]:
        """Each row as often as its weight says (`repeats`), and the settings that keep its copies on one side of the
        split."""
        if sample_weight is None:
            return table, {}
        weights = _check_sample_weight(sample_weight, np.empty((len(table), 1)), ensure_non_negative=True)
        if not weights.any():
            raise ValueError("`sample_weight` must be above zero for some rows. Received: zeros.")
        times = repeats(weights)
        rows = np.repeat(np.arange(len(table)), times)
        if times.max() <= 1:
            return table[rows], {}
        name = free_name("row", table)
        return table[rows].with_columns(pl.Series(name, rows)), {"data.group": name}

    # ---- training ---------------------------------------------------------------------------------------------------
    def _settings(self, num_rows: int) -> dict[str, Any]:
        """The options of the recipe that parameters are."""
        seed = self.random_state
        if not isinstance(seed, int | np.integer):
            seed = check_random_state(seed).randint(_LARGEST_SEED)
        given = {key: getattr(self, name) for name, key in _OPTIONS.items()}
        fixed = {
            "model.task": self.task,
            "data.validation": max(float(self.validation_fraction), 0.51 / num_rows),
            "training.seed": int(seed),
            "training.baselines_seconds": 0,
            "training.keep_checkpoints": 1,
        }
        plain = {key: value.item() if isinstance(value, np.generic) else value for key, value in given.items()}
        return {**fixed, **{key: value for key, value in plain.items() if value is not None}}

    def _train(self, table: pl.DataFrame, settings: Mapping[str, Any], **columns: Any) -> Self:
        """A run in a folder that is there as long as the run is used."""
        if self.options is not None and not isinstance(self.options, Mapping):
            raise RecipeError(f"`options` must be a mapping. Received: {self.options!r}.")
        recipe = build_recipe(self.recipe) if isinstance(self.recipe, Mapping) else self.recipe
        settings = {**self._settings(len(table)), **settings, **(self.options or {})}
        with _folder() as (folder, stack):
            run = train(
                table,
                recipe=recipe,
                settings=settings,
                out=folder,
                observer=self._observer(),
                report=False,
                **columns,
            )
            self.run_ = _kept(run, stack)
        return self

    def _train_on(self, table: pl.DataFrame) -> Self:
        """One epoch more, of other rows."""
        folder = self.run_.folder
        path = str(written(table, folder, "table"))
        settings = {
            "data.train": path,
            "data.validation": path,
            "training.epochs": 1 + (self.run_.recipe.training.epochs or 0),
        }
        run = resume(folder, settings, self._observer(), force_data=True, report=False)
        self.run_.model, self.run_.recipe = run.model, run.recipe
        return self

    def _observer(self) -> Observer:
        return ConsoleObserver() if self.verbose else Observer()


def repeats(weights: np.ndarray[Any, np.dtype[np.float64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """How often each row is read: whole weights as they are; others in proportion, so that there are about as many rows
    in all, and each at least once whose weight is above zero.

    Example:
        >>> repeats(np.asarray([2.0, 0.0, 1.0])), repeats(np.asarray([0.5, 0.1, 1.4, 0.0]))
        (array([2, 0, 1]), array([1, 1, 3, 0]))
    """
    whole = bool((weights == weights.round()).all()) and weights.sum() <= _MOST_TIMES * len(weights)
    expected = weights if whole else weights * (len(weights) / weights.sum())
    edges = np.floor(np.cumsum(expected) + 0.5).astype(np.int64)
    return np.maximum(np.diff(edges, prepend=0), weights > 0)


_MOST_TIMES = 10
"""Rows in all, for each one there is, up to which whole weights repeat rows."""


def free_name(name: str, table: pl.DataFrame) -> str:
    """A name that no column has."""
    while name in table.columns:
        name += "_"
    return name


class _folder(ExitStack):  # noqa: N801
    """A folder that is removed at the end, or when what closes it says."""

    def __enter__(self) -> tuple[Path, ExitStack]:  # type: ignore[override]
        path = own_folder()
        self.callback(remove_own, path, os.getpid())
        return path, self


def _kept(run: Run, stack: ExitStack) -> Run:
    """The run, whose folder goes when nothing uses it any more."""
    weakref.finalize(run, stack.pop_all().close)
    return run
