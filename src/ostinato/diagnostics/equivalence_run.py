"""The certificate of a trained run, on rows of its own data."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.data.sequences import Sequences
from ostinato.diagnostics.equivalence import verify, verify_model
from ostinato.diagnostics.equivalence_cases import Rebuild
from ostinato.diagnostics.equivalence_certificate import Certificate
from ostinato.diagnostics.validation import examples_for
from ostinato.errors import RecipeError
from ostinato.probes.recurrences import Recurrence, recurrences
from ostinato.probes.sample import MAX_STEPS, row_limits
from ostinato.recipe import Recipe, build_recipe, dump_recipe, read_recipe
from ostinato.storage.files import write_atomically
from ostinato.tasks.registry import task_of
from ostinato.training.run_folder import FEATURES_FILE, RECIPE_FILE, decisions_of

CERTIFICATE_FILE = "certificate.json"


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

    The loss is that of training, summed, without noise and label smoothing. Where the task has a `TaskSpec.sample`, the
    model goes through every form as a whole; else it is run as a whole on a batch and row by row, and each of its
    recurrences in every form (`verify_model`).

    Args:
        folder: the run directory.
        recipe: resolved.
        features: the fitted pipeline.
        model: with its weights.
        data: a file or catalogue name; None: the run's validation rows.
        num_rows: rows drawn, >= 2. They are cut to unequal lengths of at most 256 steps, less where the vocabulary is
            large, and one of them to a single step.
        seed: of the draw, the cuts and the noise.
        say: called with progress messages.

    Raises:
        RecipeError: if there are fewer than two rows.
        DataError: for data that can't be used.
        RunError: if the run's data has changed, or holds too little.
    """
    if num_rows < 2:
        raise RecipeError(f"`num_rows` must be at least 2, so that lengths differ. Received: {num_rows}.")
    random, rebuild = np.random.default_rng(seed), _rebuild(recipe, features, decisions_of(folder))
    examples = examples_for(folder, recipe, features, data, say)
    found = task_of(recipe).sample(model, examples, features, num_rows, random)
    if found is None:
        certificate = _on_batches(model, examples, features, recipe, num_rows, random, rebuild, seed)
    else:
        inputs = found.inputs.to(next(model.parameters()).device)
        certificate = verify(model, inputs, loss=found.loss, seed=seed, rebuild=rebuild)
    content = json.dumps(certificate.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
    write_atomically(folder / CERTIFICATE_FILE, content.encode())
    return certificate


def _on_batches(
    model: nn.Module,
    examples: Examples,
    features: Features,
    recipe: Recipe,
    num_rows: int,
    random: np.random.Generator,
    rebuild: Rebuild,
    seed: int,
) -> Certificate:
    """Of a model as a whole on some rows, and of its recurrences on what reached them there."""
    spec = task_of(recipe)
    rows: Offsets = random.choice(len(examples), size=min(num_rows, len(examples)), replace=False)
    taken = examples.take(rows)
    if spec.answers_each_step(model):
        taken = _shortened(taken, random)
    batch = spec.batch(taken, np.arange(len(rows))).to(next(model.parameters()).device)
    copied = deepcopy(model).eval()
    found = recurrences(copied, lambda: spec.read(copied, batch, features, recipe))

    def answer(module: nn.Module, some: Batch) -> Tensor:
        return spec.answers(module, some, features, recipe)

    parts = [_cut(part, num_rows, random) for part in found]
    return verify_model(model, batch, answer, parts, seed=seed, rebuild=rebuild)


def _shortened(examples: Examples, random: np.random.Generator) -> Examples:
    """Rows cut to unequal lengths, with their targets and covariates."""
    limits = row_limits(len(examples), random, MAX_STEPS)[: len(examples)]
    lengths = np.minimum(examples.sequences.lengths, limits)

    def cut(sequences: Sequences) -> Sequences:
        if not np.array_equal(sequences.lengths, examples.sequences.lengths):
            return sequences  # one value a row
        kept = [sequences.row(row)[:length] for row, length in enumerate(lengths)]
        return Sequences.from_lengths(np.concatenate(kept), lengths)

    targets = cut(examples.target_sequences) if examples.targets is not None else None
    extra = {name: cut(one) for name, one in examples.extra.items()}
    return replace(examples, sequences=cut(examples.sequences), targets=targets, extra=extra)


def _cut(part: Recurrence, num_rows: int, random: np.random.Generator) -> Recurrence:
    """Some of what a recurrence read, cut to unequal lengths."""
    filled = part.inputs.lengths.nonzero().flatten().numpy()
    rows = np.sort(random.choice(filled, size=min(num_rows, len(filled)), replace=False))
    limits = torch.from_numpy(row_limits(len(rows), random, min(MAX_STEPS, part.inputs.max_length))[: len(rows)])
    lengths = torch.minimum(part.inputs.lengths[rows], limits)
    return part.take(torch.from_numpy(rows), torch.zeros_like(lengths), lengths)


def _rebuild(recipe: Recipe, features: Features, decisions: Mapping[str, Any]) -> Rebuild:
    """A fresh model out of `recipe.yaml` and `features.json`, written and read again, which answers as was decided."""

    def rebuild(folder: Path, _: nn.Module) -> nn.Module:
        (folder / RECIPE_FILE).write_text(dump_recipe(recipe), encoding="utf-8")
        features.save(folder / FEATURES_FILE)
        read = build_recipe(read_recipe(folder / RECIPE_FILE))
        random = torch.get_rng_state()
        fresh = task_of(read).build(read, Features.load(folder / FEATURES_FILE))
        torch.set_rng_state(random)
        if decisions:
            task_of(read).decide_as(fresh, **decisions)
        return fresh

    return rebuild
