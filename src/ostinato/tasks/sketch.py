"""Models without weights: what can't be built from a recipe is refused before its data are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch

from ostinato.errors import OstinatoError, RecipeError
from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import Vectors
from ostinato.recipe import ModelRecipe

SMALLER = "--set model.hidden_size=64 --set model.embedding_dim=64"

T = TypeVar("T", bound=ModelRecipe)


@contextmanager
def sketching() -> Iterator[None]:
    """Models that are made here hold no numbers. Raises `RecipeError` for sizes whose product is no 64-bit number."""
    try:
        with torch.device("meta"):
            yield
    except OstinatoError:
        raise
    except RuntimeError as error:
        raise RecipeError(f"the model is too large: {str(error).splitlines()[0]}.", hint=SMALLER) from error


def check_layers(recipe: ModelRecipe) -> None:
    """Raise `RecipeError` for recurrent layers that can't be made: an unknown cell, or one without what is set."""
    with sketching():
        RecurrentEncoder(without_numbers(recipe), inputs=Vectors(1))


def without_numbers(recipe: T) -> T:
    """The section, for layers that hold no numbers: orthogonal matrices take seconds to be made of none."""
    return recipe.model_copy(update={"recurrent_init": "default"}) if recipe.recurrent_init == "orthogonal" else recipe
