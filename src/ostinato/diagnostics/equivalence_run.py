"""The certificate of a trained run, on rows of its own data."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.arrays import Ids, Offsets
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.data.sequences import Sequences
from ostinato.diagnostics.answers import answer_losses, batch_of
from ostinato.diagnostics.equivalence import verify, verify_model
from ostinato.diagnostics.equivalence_cases import Rebuild
from ostinato.diagnostics.equivalence_certificate import Certificate
from ostinato.diagnostics.recurrences import Recurrence, recurrences
from ostinato.diagnostics.validation import validation_of
from ostinato.errors import DataError, RecipeError, RunError
from ostinato.recipe import Recipe, build_recipe, dump_recipe, read_recipe
from ostinato.storage.files import write_atomically
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.registry import task_of
from ostinato.tasks.scoring import row_losses
from ostinato.tasks.tagging.model import Tagger
from ostinato.training.run_folder import FEATURES_FILE, RECIPE_FILE
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
    """The certificate of a run's model, of any category, also written to `certificate.json`.

    The loss is that of training, summed, without noise and label smoothing. A language model, and a classifier of one
    column of ids or numbers, go through every form as a whole; others are run as a whole on a batch and row by row, and
    each of their recurrences in every form (`verify_model`).

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
    device = next(model.parameters()).device
    random = np.random.default_rng(seed)
    rebuild, spec = _rebuild(recipe, features), task_of(recipe)
    if isinstance(model, LanguageModel):
        text = validation_of(folder, recipe) if data is None else spec.load(data, features, recipe, say)
        values = text.sequences.values
        inputs, after = _cut_text(values, num_rows, random, features.text.vocab_size)

        def loss(outputs: Tensor) -> Tensor:
            return F.cross_entropy(outputs, after.to(outputs.device), reduction="sum")

        certificate = verify(model, inputs.to(device), loss=loss, seed=seed, rebuild=rebuild)
    else:
        found = validation_of(folder, recipe) if data is None else spec.load(data, features, recipe, say)
        examples = found
        if isinstance(model, Classifier) and not features.extra and not _wide_integers(examples):
            certificate = _of_classifier(model, examples, features, num_rows, random, rebuild, seed)
        else:
            if examples.targets is None and spec.needs_targets:
                raise DataError("the rows have no target to compute a loss with.")
            certificate = _of_rows(model, examples, features, num_rows, random, rebuild, seed)
    content = json.dumps(certificate.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / CERTIFICATE_FILE, content.encode())
    return certificate


def _of_classifier(
    model: Classifier,
    examples: Examples,
    features: Features,
    num_rows: int,
    random: np.random.Generator,
    rebuild: Rebuild,
    seed: int,
) -> Certificate:
    """Of one that reads a column of ids or numbers: every form goes through its head."""
    inputs, wanted = _cut_rows(examples, num_rows, random)

    def loss(outputs: Tensor) -> Tensor:
        truth = wanted.to(outputs) if wanted.is_floating_point() else wanted.to(outputs.device)
        return row_losses(outputs, truth, features.row_target).sum()

    return verify(model, inputs.to(model.encoder.device), loss=loss, seed=seed, rebuild=rebuild)


def _of_rows(
    model: nn.Module,
    examples: Examples,
    features: Features,
    num_rows: int,
    random: np.random.Generator,
    rebuild: Rebuild,
    seed: int,
) -> Certificate:
    """Of a model of any category: as a whole on some rows, and its recurrences on what reached them there."""
    rows: Offsets = random.choice(len(examples), size=min(num_rows, len(examples)), replace=False)
    batch = batch_of(_shortened(model, examples.take(rows), random), np.arange(len(rows)))
    batch = batch.to(next(model.parameters()).device)

    def answer(module: nn.Module, some: Batch) -> Tensor:
        return answer_losses(module, some, features)

    copied = deepcopy(model).eval()
    parts = [_cut(part, num_rows, random) for part in recurrences(copied, lambda: answer(copied, batch))]
    return verify_model(model, batch, answer, parts, seed=seed, rebuild=rebuild)


def _wide_integers(examples: Examples) -> bool:
    """Whether a step is several whole numbers: notes, pixels, a word with its characters."""
    values = examples.sequences.values
    return values.ndim > 1 and values.dtype.kind in "iub"


def _shortened(model: nn.Module, examples: Examples, random: np.random.Generator) -> Examples:
    """Rows whose answers stand step beside step, cut to unequal lengths; others as they are."""
    beside = isinstance(model, NextStep) or (isinstance(model, Tagger) and model.recipe.output != "ctc")
    if not beside:
        return examples
    lengths = np.minimum(examples.sequences.lengths, _limits(len(examples), random, MAX_STEPS)[: len(examples)])

    def cut(sequences: Sequences) -> Sequences:
        if not np.array_equal(sequences.lengths, examples.sequences.lengths):
            return sequences  # one value a row
        kept = [sequences.row(row)[:length] for row, length in enumerate(lengths)]
        return Sequences.from_lengths(np.concatenate(kept), lengths)

    targets = cut(cast("Sequences", examples.targets)) if examples.targets is not None else None
    extra = {name: cut(one) for name, one in examples.extra.items()}
    return replace(examples, sequences=cut(examples.sequences), targets=targets, extra=extra)


def _cut(part: Recurrence, num_rows: int, random: np.random.Generator) -> Recurrence:
    """Some of what a recurrence read, cut to unequal lengths."""
    filled = part.inputs.lengths.nonzero().flatten().numpy()
    rows = np.sort(random.choice(filled, size=min(num_rows, len(filled)), replace=False))
    limits = torch.from_numpy(_limits(len(rows), random, min(MAX_STEPS, part.inputs.max_length))[: len(rows)])
    lengths = torch.minimum(part.inputs.lengths[rows], limits)
    return part.take(torch.from_numpy(rows), torch.zeros_like(lengths), lengths)


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
        fresh = task_of(read).build(read, Features.load(folder / FEATURES_FILE))
        torch.set_rng_state(random)
        return fresh

    return rebuild
