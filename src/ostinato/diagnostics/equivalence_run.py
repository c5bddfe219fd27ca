"""The certificate of a trained run, on rows of its own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.data.arrays import Ids, Offsets
from ostinato.data.dataset import Examples, Features
from ostinato.data.prepare import load_examples, load_stream, prepare
from ostinato.diagnostics.equivalence import verify
from ostinato.diagnostics.equivalence_cases import Rebuild
from ostinato.diagnostics.equivalence_certificate import Certificate
from ostinato.errors import RecipeError, RunError
from ostinato.evaluation.scoring import row_losses
from ostinato.models import Classifier, LanguageModel, build_model
from ostinato.recipe import Recipe, build_recipe, dump_recipe, read_recipe
from ostinato.storage.files import read_json, write_atomically
from ostinato.training.train import DATA_FILE, FEATURES_FILE, RECIPE_FILE, describe_data
from ostinato.types import Ragged

CERTIFICATE_FILE = "certificate.json"
MAX_STEPS = 256
_MAX_SCORES = 4_000_000
"""Scores of a language model that are kept at once: steps of all rows times the vocabulary."""


def verify_run(
    folder: Path,
    recipe: Recipe,
    features: Features,
    model: nn.Module,
    *,
    data: str | None = None,
    num_rows: int = 8,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Certificate:
    """The certificate of a run's model, also written to `certificate.json`.

    The loss is that of training, summed, without noise and label smoothing.

    Args:
        folder: the run directory.
        recipe: resolved.
        features: the fitted pipeline.
        model: with its weights.
        data: a file or catalogue name; None: the run's validation rows.
        num_rows: rows drawn, >= 2. They are cut to unequal lengths of at most 256 steps, less where the vocabulary is
            large, and one of them to a single step.
        seed: of the draw, the cuts and the noise.
        say: is told what happens.

    Raises:
        RecipeError: if there are fewer than two rows.
        DataError: for data that can't be used.
        RunError: if the run's data has changed, or holds too little.
    """
    if num_rows < 2:
        raise RecipeError(f"`num_rows` must be at least 2, so that lengths differ. Received: {num_rows}.")
    if not isinstance(model, Classifier | LanguageModel) or features.extra:
        raise RunError(
            f"only language models, and classifiers that read one column, can be verified. `{folder}` is another model."
        )
    device = model.encoder.device
    random = np.random.default_rng(seed)
    if isinstance(model, LanguageModel):
        values = cast("Ids", _validation(folder, recipe)) if data is None else load_stream(data, features, recipe, say)
        inputs, targets = _cut_text(values, num_rows, random, features.text.vocab_size)

        def loss(outputs: Tensor) -> Tensor:
            return F.cross_entropy(outputs, targets.to(outputs.device), reduction="sum")
    else:
        examples = (
            cast("Examples", _validation(folder, recipe))
            if data is None
            else load_examples(data, features, recipe, say)
        )
        inputs, wanted = _cut_rows(examples, num_rows, random)
        target = features.row_target

        def loss(outputs: Tensor) -> Tensor:
            truth = wanted.to(outputs) if wanted.is_floating_point() else wanted.to(outputs.device)
            return row_losses(outputs, truth, target).sum()

    certificate = verify(model, inputs.to(device), loss=loss, seed=seed, rebuild=_rebuild(recipe, features))
    content = json.dumps(certificate.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / CERTIFICATE_FILE, content.encode())
    return certificate


def _validation(folder: Path, recipe: Recipe) -> Examples | Ids:
    """The validation part, encoded anew as training had it."""
    prepared = prepare(recipe)
    path = folder / DATA_FILE
    if path.is_file() and read_json(path) != describe_data(prepared):
        raise RunError(
            f"the data of `{folder}` has changed since training began, so its validation rows are not known.",
            hint="name a file with --data",
        )
    return prepared.validation


def _limits(num_rows: int, random: np.random.Generator, longest: int) -> NDArray[np.int64]:
    """Lengths of the rows at most: one of a single step, one of all, the others spread between."""
    spread = random.integers(2, max(longest, 2), max(num_rows - 2, 0), endpoint=True)
    return np.concatenate([[1, longest], spread])


def _cut_text(values: Ids, num_rows: int, random: np.random.Generator, vocab_size: int) -> tuple[Ragged, Tensor]:
    """Rows out of a text, and the token after each step, (sum L,), row after row."""
    longest = min(MAX_STEPS, max(16, _MAX_SCORES // (num_rows * vocab_size)), len(values) - 1)
    if longest < 2:
        raise RunError(f"a text of {len(values)} tokens is too short to be cut into rows of unequal length.")
    lengths = np.minimum(_limits(num_rows, random, longest), longest)
    starts = random.integers(0, len(values) - lengths)
    inputs = Ragged.from_rows(values.astype(np.int64), starts, lengths)
    after = np.concatenate([values[s + 1 : s + 1 + n] for s, n in zip(starts, lengths, strict=True)])
    return inputs, torch.from_numpy(after.astype(np.int64))


def _cut_rows(examples: Examples, num_rows: int, random: np.random.Generator) -> tuple[Ragged, Tensor]:
    """A sample of the rows, and their targets."""
    rows: Offsets = random.choice(len(examples), size=min(num_rows, len(examples)), replace=False)
    starts = examples.sequences.offsets[rows]
    lengths = np.minimum(examples.sequences.lengths[rows], _limits(len(rows), random, MAX_STEPS)[: len(rows)])
    inputs = Ragged.from_rows(examples.sequences.values, starts, lengths)
    targets = np.ascontiguousarray(cast("NDArray[np.float32]", examples.targets)[rows])
    return inputs, torch.from_numpy(targets)


def _rebuild(recipe: Recipe, features: Features) -> Rebuild:
    """A fresh model out of `recipe.yaml` and `features.json`, written and read again."""

    def rebuild(folder: Path, _: nn.Module) -> nn.Module:
        (folder / RECIPE_FILE).write_text(dump_recipe(recipe), encoding="utf-8")
        features.save(folder / FEATURES_FILE)
        read = build_recipe(read_recipe(folder / RECIPE_FILE))
        random = torch.get_rng_state()
        fresh = build_model(read.model, Features.load(folder / FEATURES_FILE))
        torch.set_rng_state(random)
        return fresh

    return rebuild
