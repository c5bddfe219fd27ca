"""A trained run: predict, evaluate, generate. `load` opens a run directory; `starting.train` makes one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ostinato.baselines import Baselines
from ostinato.data.dataset import Examples, Features
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.data.forecasting.future import future_windows
from ostinato.data.forecasting.prepare import held_back_windows
from ostinato.data.loading import examples_of, load_examples, load_stream, reading_as
from ostinato.data.prepare import prepare
from ostinato.diagnostics import Certificate, Diagnosis
from ostinato.diagnostics.equivalence_run import verify_run
from ostinato.diagnostics.of_run import diagnose_run
from ostinato.errors import RunError
from ostinato.metrics.classification import Metrics
from ostinato.recipe import Recipe, Settings
from ostinato.report.page import write_report
from ostinato.storage.files import read_json
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.build import build_model
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.sampling import decode_chunks, encode_prompt, generate_chunks
from ostinato.tasks.prediction import Prediction
from ostinato.tasks.registry import category_of
from ostinato.tasks.scoring import evaluate_stream
from ostinato.training.loop import MODEL_FILE
from ostinato.training.progress import Observer
from ostinato.training.run_folder import FEATURES_FILE, SUMMARY_FILE, read_recipe_of
from ostinato.training.train import set_up
from ostinato.training.weights import load_tensors, load_weights


class Run:
    """A run directory with its model in memory.

    Args:
        folder: the directory.
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
        return f"Run({str(self.folder)!r}, {self.recipe.model.kind}, {self.recipe.model.cell})"

    @property
    def summary(self) -> dict[str, Any]:
        """What training ended with: validation metrics, epochs, seconds, parameters. Empty while it has not ended."""
        path = self.folder / SUMMARY_FILE
        return read_json(path) if path.is_file() else {}

    def report(self) -> Path:
        """Write `report.html`, one file that needs no network; returns its path.

        Raises:
            MissingLibraryError: without matplotlib and jinja2 (the extra `report`).
            DataError: if the data it was trained on is gone.
        """
        return write_report(self.folder, self.recipe, self.features, self.model, prepare(self.recipe), self.device)

    def predict(self, rows: Sequence[Any] | str) -> list[Prediction]:
        """A prediction for each row, in their order.

        Args:
            rows: cells of the input column as its reader gives them (texts, lists of numbers or words, paths of media
                files), or mappings from column to cell where the model reads several columns.

        Raises:
            RunError: for a language model, or a row that can't be used.

        Example:
            >>> load("runs/imdb").predict(["great film :)"])[0].label
            '1'
        """
        if isinstance(self.model, LanguageModel):
            raise self._no_rows("predict")
        given = [rows] if isinstance(rows, str) else list(rows)
        if not given:
            return []
        return category_of(self.recipe).predict(
            self.model, examples_of(given, self.features, self.recipe), self.features, self.device
        )

    def predict_file(self, data: str | Path, observer: Observer | None = None) -> list[tuple[str, str, Prediction]]:
        """A prediction for each row of a file or folder: (file and line, how the row begins, prediction). A forecaster
        forecasts what comes after the end of each series of the file.

        Args:
            data: a path or a name of the catalogue, with the columns the model reads; a target column is not needed.
            observer: is told what happens.

        Raises:
            RunError: for a language model.
            DataError: for a file that can't be used.
        """
        if isinstance(self.model, LanguageModel):
            raise self._no_rows("predict")
        without_target = Features(self.features.input, extra=self.features.extra)
        say = (observer or Observer()).note
        if isinstance(self.features.input, ForecastFeature):
            examples: Examples = future_windows(str(data), self.features.input, self.recipe, say)
        else:
            examples = load_examples(str(data), without_target, self.recipe, say)
        found = category_of(self.recipe).predict(self.model, examples, self.features, self.device)
        return [(examples.location(row), examples.preview(row), one) for row, one in enumerate(found)]

    def evaluate(self, data: str | Path | None = None, observer: Observer | None = None) -> Metrics:
        """Metrics on a file (by default the recipe's `data.test`, or a forecaster's third part of its training file),
        scored as validation was.

        Raises:
            RunError: if no file is named and the recipe has no test data.
            DataError: for a file that can't be used.
        """
        reference = str(data) if data is not None else self.recipe.data.test
        if reference is None and isinstance(self.features.input, ForecastFeature):
            held_back = held_back_windows(self.features.input, self.recipe, (observer or Observer()).note)
            return category_of(self.recipe).evaluate(self.model, held_back, self.features, self.device)
        if reference is None:
            raise RunError("no data to evaluate on.", hint=f"name a file: ostinato evaluate {self.folder} test.jsonl")
        say = (observer or Observer()).note
        if isinstance(self.model, LanguageModel):
            values = load_stream(reference, self.features, self.recipe, say)
            if len(values) < 2:
                raise RunError(f"`{reference}` has {len(values)} tokens; a language model needs at least 2.")
            return evaluate_stream(self.model, values, self.features, self.device, self.recipe.training.bptt)
        examples = load_examples(reference, self.features, self.recipe, say)
        return category_of(self.recipe).evaluate(self.model, examples, self.features, self.device)

    def diagnose(
        self,
        data: str | Path | None = None,
        *,
        num_rows: int = 64,
        num_steps: int | None = None,
        seed: int = 0,
        observer: Observer | None = None,
    ) -> Diagnosis:
        """What the model can remember, and what to change; see `diagnostics.of_run.diagnose_run` for arguments."""
        say = (observer or Observer()).note
        return diagnose_run(self, data, num_rows=num_rows, num_steps=num_steps, seed=seed, say=say)

    def baselines(self, budget_s: float = 120.0, *, observer: Observer | None = None) -> Baselines:
        """What simple methods reach on the run's own data, and whether recurrence is worth it; see
        `evaluation.baselines.compare_with_baselines`. Writes `baselines.json`, which the report shows.

        Args:
            budget_s: seconds for all of them together, >= 0.
            observer: is told what happens.

        Raises:
            RunError: for a category without baselines, or no number of seconds.
            DataError: if the data it was trained on is gone.
        """
        if not budget_s >= 0:
            raise RunError(f"`budget_s` must be a number of seconds, 0 or more. Received: {budget_s!r}.")
        say = (observer or Observer()).note
        found = compare_with_baselines(self.model, prepare(self.recipe), self.device, self.summary, budget_s, say)
        found.save(self.folder)
        return found

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

    def generate(
        self,
        prompt: str = "",
        *,
        max_new_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        precision: str = "full",
    ) -> str:
        """The prompt and what the language model writes after it; the same seed writes the same text.

        Raises:
            RunError: if this is no language model, or the prompt holds tokens it never saw.
        """
        return prompt + "".join(
            self.stream(
                prompt,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=top_k,
                top_p=top_p,
                seed=seed,
                precision=precision,
            )
        )

    def stream(
        self,
        prompt: str = "",
        *,
        max_new_tokens: int = 500,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int = 0,
        precision: str = "full",
    ) -> Iterator[str]:
        """As `generate`, without the prompt, piece by piece as it is written; mistakes are raised at once."""
        if not isinstance(self.model, LanguageModel):
            raise RunError(
                f"`{self.folder}` is a {self.recipe.model.kind}; only a language model can generate "
                "(on the command line what writes for a value or a source, and a next_step model, as well).",
                hint=f"ostinato predict {self.folder} … answers for rows of its own",
            )
        tokens = generate_chunks(
            self.model,
            encode_prompt(self.features, prompt),
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            precision=precision,
            state_reset_interval=bptt.state_reset_interval if (bptt := self.recipe.training.bptt) else None,
        )
        return decode_chunks(self.features, tokens, begun=bool(prompt))

    def _no_rows(self, verb: str) -> RunError:
        return RunError(
            f"`{self.folder}` is a language model: it has no target to {verb}.",
            hint=f"write text with it: ostinato generate {self.folder}",
        )


def load(folder: str | Path, settings: Settings = ()) -> Run:
    """Open a run directory.

    Args:
        folder: the directory.
        settings: how further files are read, where it is not as in training: `{"data.on_bad_row": "skip"}`; of
            `data`, the keys `on_bad_row`, `max_characters`, `encoding` and `header`.

    Raises:
        RunError: if it is no run, is damaged, or has not been validated once.
        RecipeError: for a setting of anything else.

    Example:
        >>> run = load("runs/imdb")
        >>> run.predict(["great film :)"])[0].label
        '1'
    """
    path = Path(folder)
    recipe = reading_as(read_recipe_of(path), settings)
    features = Features.load(path / FEATURES_FILE)
    if not (path / MODEL_FILE).is_file():
        raise RunError(
            f"`{path}` has no {MODEL_FILE}: training stopped before the first validation.",
            hint=f"go on with: ostinato train --resume {path}",
        )
    device = set_up(recipe)
    model = build_model(recipe.model, features).to(device)
    load_weights(model, load_tensors(path / MODEL_FILE), path / MODEL_FILE)
    model.eval()
    return Run(path, recipe, features, model, device)
