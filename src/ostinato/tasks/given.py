"""Conditions of models that write: names seen in training, and whether each has one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ostinato.data.batching import Batch, BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import Feature
from ostinato.data.features.category import CategoryFeature
from ostinato.data.loading import examples_of
from ostinato.data.vocabulary import UNK_ID
from ostinato.errors import RunError
from ostinato.tasks.generation import OpenRun
from ostinato.wording import meant

_LISTED = 30
_MOST_TARGETS = 1.5


def rows_by_given(examples: Examples) -> dict[bytes, list[int]]:
    """The rows that are given the same, covariates counted in, in the order of their first ones."""
    found: dict[bytes, list[int]] = {}
    for row in range(len(examples)):
        found.setdefault(examples.given(row), []).append(row)
    return found


def with_others_given(examples: Examples) -> Examples:
    """Every row given what a row in another place was given (seeded)."""
    others = examples.take(np.random.default_rng(0).permutation(len(examples)))
    return Examples(others.sequences, examples.targets, examples.places, examples.rows, others.extra)


def has_one_answer(examples: Examples) -> bool:
    """Whether rows with the same condition nearly always have the same target."""
    targets = examples.target_sequences
    given = [examples.given(row) for row in range(len(examples))]
    pairs = {(one, targets.row(row).tobytes()) for row, one in enumerate(given)}
    return len(pairs) <= _MOST_TARGETS * len(set(given))


def refuse_unknown(examples: Examples, features: Features) -> None:
    """Raise `RunError` for the first row with a name that was not seen in training."""
    columns: list[tuple[Feature, Any]] = [(features.input, examples.sequences)]
    columns += [(feature, examples.extra[name]) for name, feature in features.extra.items()]
    for feature, sequences in columns:
        if isinstance(feature, CategoryFeature):
            unknown = np.flatnonzero(sequences.values == UNK_ID).tolist()
            if unknown:
                raise RunError(
                    f"row {unknown[0] + 1} has a name that was not seen in training. Seen: {_listed(feature.names)}."
                )


def given_batch(run: OpenRun, given: Any, count: int) -> Batch:
    """What is given, a cell or a mapping by column, as a batch of so many equal rows.

    Raises:
        RunError: for a cell that can't be used, such as a name that training never showed.
    """
    for column, feature in ((str(run.recipe.data.input), run.features.input), *run.features.extra.items()):
        refuse_unknown_cell(feature, column, given.get(column) if isinstance(given, dict) else given)
    examples = examples_of([given] * count, run.features, run.recipe)
    return BucketedBatches(examples, count).batch(np.arange(count)).to(next(run.model.parameters()).device)


def refuse_unknown_cell(feature: Feature, column: str, cell: Any) -> None:
    """Raise `RunError` for a category that was not seen in training."""
    if isinstance(feature, CategoryFeature) and cell is not None and str(cell).strip() not in feature.names:
        raise RunError(
            f"`{column}` must be one of {_listed(feature.names)}. Received: {cell!r}.",
            instead=meant(str(cell).strip(), feature.names),
        )


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
