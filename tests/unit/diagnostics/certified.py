"""Small layers, models and rows to be certified."""

from __future__ import annotations

from typing import Any

import torch

from ostinato.cells import Cell
from ostinato.diagnostics import Certificate
from ostinato.nn import RecurrentStack
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.types import Ragged

LENGTHS = (9, 1, 0, 4, 7)


def vectors(size: int = 3) -> Ragged:
    """Rows of unequal length, one of them empty."""
    values = torch.randn(sum(LENGTHS), size, generator=torch.Generator().manual_seed(0))
    return Ragged.from_offsets(values, [0, 9, 10, 10, 14, 21])


def ids(vocab_size: int = 12) -> Ragged:
    """The same of token ids."""
    values = torch.randint(2, vocab_size, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0))
    return Ragged.from_offsets(values, [0, 9, 10, 10, 14, 21])


def stack(cell: Cell | str, **options: Any) -> RecurrentStack:
    """Layers with fixed weights."""
    torch.manual_seed(0)
    return RecurrentStack(cell, 3, 5, **options)


def failures_of(certificate: Certificate) -> set[tuple[str, str]]:
    """Forms and backends that differ."""
    return {(row.form, row.backend) for row in certificate.failures}


def failed_forms(certificate: Certificate) -> set[str]:
    """Forms that differ."""
    return {form for form, _ in failures_of(certificate)}


def language_model(**settings: Any) -> LanguageModel:
    """A small one."""
    torch.manual_seed(0)
    recipe = LanguageModelRecipe.model_validate({"embedding_dim": 4, "hidden_size": 6, **settings})
    return LanguageModel(recipe, 12)
