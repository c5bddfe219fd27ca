"""A trained run: predict, evaluate, generate. `load` opens a run directory; `api.train` makes one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack, cast

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from ostinato.arrays import Array
from ostinato.baselines import Baselines
from ostinato.data.dataset import Features, in_parts
from ostinato.data.given import rows_given
from ostinato.data.in_memory import as_file, is_in_memory, is_table, shown
from ostinato.data.loading import reading_as
from ostinato.diagnostics import Certificate, Diagnosis
from ostinato.diagnostics.equivalence_run import verify_run
from ostinato.diagnostics.of_run import diagnose_run
from ostinato.errors import CheckpointError, RowError, RunError
from ostinato.exploration import (
    Ablating,
    Ablation,
    Continuing,
    Exploration,
    Track,
    Tracking,
    ablate_run,
    continue_run,
    explore_run,
    track_run,
)
from ostinato.metrics.classification import Metrics
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import CONFIDENCE, with_intervals
from ostinato.notebook.card import run_card
from ostinato.notebook.history import history_of
from ostinato.notebook.plots import Plots
from ostinato.recipe import Recipe, Settings
from ostinato.storage.files import json_ready, write_atomically
from ostinato.tasks.adaptation import Adaptation
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.generation import GenerateOptions, Generation
from ostinato.tasks.intervened import encoder_of, intervening
from ostinato.tasks.intervening import Intervene, edits_of
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.report_page import write_report
from ostinato.tasks.spec import TaskSpec
from ostinato.training.halves import HALVES_FILE, weights_of_halves
from ostinato.training.places import part_of_training
from ostinato.training.progress import Observer
from ostinato.training.run_folder import (
    EVALUATION_FILE,
    FEATURES_FILE,
    LOG_FILE,
    MODEL_FILE,
    VALIDATED_FILE,
    check_unchanged,
    check_weights,
    decisions_of,
    read_recipe_of,
    run_at,
    summary_of,
)
from ostinato.training.train import set_up
from ostinato.training.weights import load_tensors, load_weights, weights_of
from ostinato.wording import command

if TYPE_CHECKING:
    from ostinato.data.features import Feature


_ROWS_AT_ONCE = 4096
"""Rows that are predicted before progress is shown."""


class Adapting(TypedDict, total=False):
    """Options of `Run.evaluate`; see `tasks.adaptation.Adaptation`."""

    dynamic: float
    dynamic_decay: float
    cache: int
    cache_theta: float
    cache_lambda: float
    flags: bool


class Options(Adapting, total=False):
    """Options of `Run.generate`; see `tasks.generation.GenerateOptions`."""

    condition: Any
    num: int | None
    max_new_tokens: int | None
    temperature: float
    top_k: int | None
    top_p: float
    seed: int
    precision: str
    intervene: Intervene | None


class Run:
    """A run directory with its model in memory.

    Args:
        folder: the directory, or a file of `ostinato pack`.
        recipe: resolved.
        features: the fitted pipeline; `predict` runs the very same code as training did.
        model: with the best weights.
        device: where the model is.
    """

    def __init__(
        self, folder: Path, recipe: Recipe, features: Features, model: nn.Module, device: torch.device
    ) -> None:
        self.folder, self.recipe, self.features, self.model, self.device = folder, recipe, features, model, device

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r}, {self.recipe.model.task}, {self.recipe.model.cell})"

    @property
    def summary(self) -> dict[str, Any]:
        """The result of training: validation metrics, epochs, seconds, parameters. Empty until it has ended."""
        return summary_of(self.folder)

    @property
    def spec(self) -> TaskSpec:
        """The spec of its task."""
        return task_of(self.recipe)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return run_card(self.folder, self.recipe, self.summary)

    @property
    def history(self) -> pl.DataFrame:
        """A row a validation: its step and figures, and the mean training loss since the one before."""
        return history_of(self.folder / LOG_FILE)

    @property
    def plot(self) -> Plots:
        """Plots on matplotlib's axes: `run.plot.curves()`, `.confusion()`, `.forecast()`, `.gradients()`."""
        return Plots(self)

    def report(self) -> Path:
        """Write `report.html`, one file that needs no network; returns its path.

        Raises:
            MissingLibraryError: without matplotlib and jinja2 (the extra `report`).
            DataError: if the data it was trained on is gone.
        """
        prepared, model = prepare(self.recipe), self.validated()
        return write_report(self.folder, self.recipe, self.features, model, prepared, self.device)

    def validated(self) -> nn.Module:
        """The model that the run's own validation rows were scored by, and may be: where `training.refit` made another
        of all rows for new data, the one before."""
        path = self.folder / VALIDATED_FILE
        if not path.is_file():
            return self.model
        return self._with({**weights_of(self.model), **load_tensors(path)}, path)

    def _with(self, tensors: Mapping[str, Tensor], source: Path) -> nn.Module:
        """The model with other weights, deciding as this one."""
        model = self.spec.build(self.recipe, self.features).to(self.device)
        load_weights(model, tensors, source)
        if decisions := decisions_of(self.folder):
            self.spec.decide_as(model, **decisions)
        return model.eval()

    def decide_as(self, **decisions: Any) -> None:
        """Answer otherwise than training decided: `threshold`, from which probability on the second of two classes is
        the answer; `abstain`, below which probability of its answer a row gets none.

        Raises:
            RunError: for a model of no classes.
            RecipeError: for what is no probability, or a threshold of more than two classes.
        """
        self.spec.decide_as(self.model, **decisions)

    def predict(self, rows: Any, *, intervene: Intervene | None = None) -> list[Prediction]:
        """A prediction for each row, in their order; of a forecaster for each series of a table.

        Args:
            rows: cells of the input column as its reader gives them (texts, lists of numbers or words, paths of media
                files), or mappings from column to cell where the model reads several columns; or a table of pandas,
                polars, Arrow or Hugging Face `datasets`, of which the columns that the model reads are taken.
            intervene: units or gates that are changed while a row is read: `"layer 1.c[3] = 0"`, several of these, or
                `{"layer 1.c[3]": 0, "layer 2.h": "*= 0.5 from 12"}` (docs/guides/exploring.md).

        Raises:
            RunError: for a language model; with `intervene` for a model without one encoder.
            RecipeError: for what is no intervention, or names what is not there.
            RowError: for a row that can't be used, which is a ValueError, too.

        Example:
            >>> load("runs/reviews").predict(["great film :)"])[0].label in ("negative", "positive")
            True
        """
        if self.recipe.model.rows == "series" and is_table(rows):
            return [one for _, _, one in self.predict_file(rows, intervene=intervene)]
        columns = [self.recipe.data.input, *self.features.extra] if self.recipe.data.input else []
        given = rows_given(rows, [str(column) for column in columns])
        if not given:
            return []
        examples = self.spec.encode(given, self.features, self.recipe)
        with self._changed(intervene):
            return self.spec.predict(self.model, examples, self.features, self.device)

    def vectors(self, rows: Any) -> Array:
        """(N, F): what each row is to the model before its output: a description of fixed length, for other methods.

        Args:
            rows: as of `predict`, at least one.

        Raises:
            RunError: for any model but a classifier, or a regression.
            RowError: for a row that can't be used.
        """
        columns = [self.recipe.data.input, *self.features.extra] if self.recipe.data.input else []
        given = rows_given(rows, [str(column) for column in columns])
        if not given:
            raise RowError("rows were expected. Received: none.")
        return self.spec.vectors(self.model, self.spec.encode(given, self.features, self.recipe), self.device)

    def _changed(self, intervene: Intervene | None) -> AbstractContextManager[None]:
        edits = edits_of(intervene)
        if not edits:
            return nullcontext()
        return intervening(encoder_of(self.model), edits, -self.spec.steps_before)

    def predict_file(
        self, data: Any, observer: Observer | None = None, *, intervene: Intervene | None = None
    ) -> list[tuple[str, str, Prediction]]:
        """A prediction for each row of a file or folder: (file and line, how the row begins, prediction). A forecaster
        forecasts what comes after the end of each series of the file.

        Args:
            data: a path or a name of the catalogue, or data in memory, with the columns the model reads; a target
                column is not needed.
            observer: receives progress.
            intervene: as of `predict`.

        Raises:
            RunError: for a language model.
            DataError: for a file that can't be used.
        """
        return [one for some in self.predict_parts(data, observer, intervene=intervene) for one in some]

    def predict_parts(
        self, data: Any, observer: Observer | None = None, *, first: int = 0, intervene: Intervene | None = None
    ) -> Iterator[list[tuple[str, str, Prediction]]]:
        """As `predict_file`, up to 4,096 rows at a time: a file of any size is predicted in the memory of these.

        Args:
            data: as of `predict_file`.
            observer: receives progress.
            first: rows that are left out at the beginning.
            intervene: as of `predict`.

        Raises:
            RunError: for a language model.
            DataError: for a file that can't be used.
        """
        observer = observer or Observer()
        with as_file(data, self.recipe.data.input) as path:
            examples = self.spec.load_inputs(path, self.features, self.recipe, observer.note)
        done, total = first, len(examples)
        for some in in_parts(examples.take(np.arange(first, total)) if first else examples, _ROWS_AT_ONCE):
            with self._changed(intervene):
                found = self.spec.predict(self.model, some, self.features, self.device)
            done += len(some)
            observer.rows(done, total)
            yield [(some.location(row), some.preview(row), one) for row, one in enumerate(found)]

    def evaluate(
        self,
        data: Any = None,
        observer: Observer | None = None,
        *,
        save: bool = True,
        **options: Unpack[Adapting],
    ) -> Metrics:
        """Metrics on a file (by default the recipe's `data.test`, or a forecaster's third part of its training file),
        scored as validation was, with `intervals` of 95 % (docs/guides/evaluation.md). Writes `evaluation.json`, which
        holds the last evaluation.

        Args:
            data: a path or a name of the catalogue, or a table in memory.
            observer: receives messages.
            save: write `evaluation.json`.
            options: of a language model that goes on learning from the text it reads (docs/guides/evaluation.md):
                dynamic, dynamic_decay, cache, cache_theta, cache_lambda. The run stays as it is.

        Raises:
            RunError: if no file is named and the recipe has no test data.
            DataError: for a file that can't be used.
            RecipeError: for options out of range, or that don't apply.
        """
        if is_in_memory(data):
            with as_file(data, self.recipe.data.input) as path:
                return self.evaluate(path, observer, save=save, **options)
        say, spec = (observer or Observer()).note, self.spec
        how = Adaptation(**options)
        model = spec.adapting(self.model, how) if how.adapts else self.model
        reference = str(data) if data is not None else self.recipe.data.test
        if reference is not None and (part := part_of_training(self.folder, reference)) is not None:
            say(f"`{shown(reference)}` is the file of data.{part}: these figures do not say how it does on new rows")
        examples = (
            spec.held_back(self.features, self.recipe, say)
            if reference is None
            else spec.load(reference, self.features, self.recipe, say)
        )
        if examples is None:
            raise RunError(
                "no data to evaluate on.",
                hint=f"on its own training data, to see how it works: "
                f"{command('evaluate', self.folder, str(self.recipe.data.train))}",
            )
        found = with_intervals(spec.evaluate(model, examples, self.features, self.recipe, self.device))
        if not save:
            return found
        named = shown(reference) if reference else f"the part held back of {self.recipe.data.train}"
        saved = json_ready({"data": named, **how.adaptations, "confidence": CONFIDENCE, **found})
        try:
            write_atomically(self.folder / EVALUATION_FILE, json.dumps(saved, indent=1, ensure_ascii=False).encode())
        except CheckpointError as error:  # a run may be read from where nothing can be written
            say(f"not saved: {error.message}")
        return found

    def diagnose(
        self,
        data: str | Path | None = None,
        *,
        num_rows: int = 64,
        num_steps: int | None = None,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> Diagnosis:
        """How far back the model remembers, and what to change; arguments as in `diagnostics.of_run.diagnose_run`."""
        say = (observer or Observer()).note
        return diagnose_run(self, data, num_rows=num_rows, num_steps=num_steps, seed=seed, say=say)

    def explore(
        self, data: str | Path | None = None, *, num_steps: int = 10_000, observer: Observer | None = None
    ) -> Exploration:
        """States, gates and surprise at each step; arguments as in `exploration.explore_run`."""
        return explore_run(self, data, num_steps=num_steps, say=(observer or Observer()).note)

    def track(self, data: str | Path | None = None, **options: Unpack[Tracking]) -> Track:
        """As `explore`, of up to millions of steps, in files beside the run; see `exploration.track_run`.

        Args:
            data: a file or catalogue name, read as the run's own data were; default: its validation data.
            options: num_steps, gates, dtype, limit_bytes, say, progress, as of `track_run`.
        """
        return track_run(self, data, **options)

    def continued(self, prompt: Any, intervene: Intervene, **options: Unpack[Continuing]) -> dict[str, Any]:
        """What it writes with units or gates changed, beside what it writes untouched; see `exploration.continue_run`.

        Args:
            prompt: a text, or frames.
            intervene: as of `predict`.
            options: begin, max_new_tokens, temperature, seed.
        """
        return continue_run(self, intervene, prompt, **options)

    def ablate(self, data: str | Path | None = None, **options: Unpack[Ablating]) -> Ablation:
        """What each unit is worth: the loss with it held at its mean, less the loss as it is; see
        `exploration.ablate_run`.

        Args:
            data: a file or catalogue name; default: the run's validation data.
            options: num_windows, num_steps, layer, say, progress.
        """
        return ablate_run(self, data, **options)

    def baselines(self, budget_s: float = 120.0, *, observer: Observer | None = None) -> Baselines:
        """Compare with simple baselines on the run's own data: is recurrence worth it? See
        `tasks.baselines.compare_with_baselines`. Writes `baselines.json`, which the report shows.

        Args:
            budget_s: seconds for all of them together, >= 0.
            observer: receives progress.

        Raises:
            RunError: for a task without baselines, or an invalid number of seconds.
            DataError: if the data it was trained on is gone.
        """
        if not budget_s >= 0:
            raise RunError(f"`budget_s` must be a number of seconds, 0 or more. Received: {budget_s!r}.")
        say = (observer or Observer()).note
        prepared = prepare(self.recipe)
        found = compare_with_baselines(
            self.spec, self.validated(), prepared, self.device, self.summary, budget_s, say, self.halves()
        )
        found.save(self.folder)
        return found

    def halves(self) -> list[nn.Module]:
        """The model as each half of the validation data would have chosen it; where nothing was chosen but what
        `decisions.json` says, twice as it is; none where that is not known."""
        weights = weights_of_halves(self.folder)
        if self.recipe.training.keep == "last" and decisions_of(self.folder):
            weights = [weights_of(self.validated())] * 2
        return [self._with(tensors, self.folder / HALVES_FILE) for tensors in weights]

    def verify(
        self, data: str | Path | None = None, *, num_rows: int = 8, seed: int = 0, observer: Observer | None = None
    ) -> Certificate:
        """Whether the model gives the same numbers however it is run; arguments as in `verify_run`."""
        return verify_run(
            self.folder,
            self.recipe,
            self.features,
            self.model,
            data=None if data is None else str(data),
            num_rows=num_rows,
            seed=seed,
            say=(observer or Observer()).note,
        )

    def generate(self, prompt: Any = "", **options: Unpack[Options]) -> Any:
        """Generate; the same seed gives the same output.

        Args:
            prompt: how it begins: of a language model a text; of a next-step model a list of frames or a media file.
            options: see `tasks.generation.GenerateOptions`: condition (what is given to write for: a cell, or a mapping
                by column), num (sequences), max_new_tokens (or frames), temperature, top_k, top_p, seed, precision,
                intervene (as of `predict`; steps are those of the prompt and what is written), and of a language model
                those of `evaluate`: dynamic learns from the prompt.

        Returns:
            A language model: the prompt and what follows, a text. Models that write texts for what is given: a list of
            texts. Models that write frames: a list of sequences, as a user knows them; a next-step model one sequence.

        Raises:
            RunError: for a task that writes nothing, or a prompt or a condition that can't be used.
            RecipeError: for options out of range, or that don't apply.
        """
        found = self.generation(prompt, **options)
        if found.pieces is not None:
            return found.prompt + "".join(found.pieces)
        if found.texts is not None:
            return found.texts
        sequences = [cast("Feature", found.feature).known(values) for values in found.frames or []]
        return sequences[0] if found.feature is self.features.input else sequences

    def stream(self, prompt: str = "", **options: Unpack[Options]) -> Iterator[str]:
        """As `generate`, without the prompt, piece by piece as a language model writes; invalid options raise at
        once."""
        pieces = self.generation(prompt, **options).pieces
        if pieces is None:
            raise RunError(f"`{self.folder}` is a {self.spec.noun}; only a language model writes piece by piece.")
        return pieces

    def generation(self, prompt: Any = "", **options: Unpack[Options]) -> Generation:
        """The output of `generate`, before it is decoded."""
        how = GenerateOptions(prompt=prompt, **options)
        model = self.spec.adapting(self.model, how) if how.adapts else self.model
        run = Run(self.folder, self.recipe, self.features, model, self.device)
        with self._changed(how.intervene):
            return self.spec.generate(run, how)


def load(folder: str | Path, settings: Settings = ()) -> Run:
    """Open a run directory.

    Args:
        folder: the directory.
        settings: how further files are read, where that differs from training: `{"data.on_bad_row": "skip"}`; of
            `data`, the keys `on_bad_row`, `max_characters`, `encoding`, `header` and `time_format`.

    Raises:
        RunError: if it is no run, is damaged, or has not been validated once.
        RecipeError: for a setting of anything else.

    Example:
        >>> run = load("runs/reviews")
        >>> sorted(run.predict(["great film :)"])[0].probabilities)
        ['negative', 'positive']
    """
    path = run_at(Path(folder))
    recipe = reading_as(read_recipe_of(path), settings)
    features = Features.load(path / FEATURES_FILE)
    check_weights(path)
    device = set_up(recipe)
    model = task_of(recipe).build(recipe, features).to(device)
    load_weights(model, load_tensors(path / MODEL_FILE), path / MODEL_FILE)
    check_unchanged(path)
    if decisions := decisions_of(path):
        task_of(recipe).decide_as(model, **decisions)
    model.eval()
    return Run(path, recipe, features, model, device)
