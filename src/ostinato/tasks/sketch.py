"""Models without numbers: what can't be made of a recipe is told before its data are read."""

from __future__ import annotations

from typing import TypeVar

import torch

from ostinato.layers.encoder import RecurrentEncoder
from ostinato.layers.inputs import Vectors
from ostinato.recipe import ModelRecipe

T = TypeVar("T", bound=ModelRecipe)


def check_layers(recipe: ModelRecipe) -> None:
    """Raise `RecipeError` for recurrent layers that can't be made: an unknown cell, or one without what is set."""
    with torch.device("meta"):
        RecurrentEncoder(without_numbers(recipe), inputs=Vectors(1))


def without_numbers(recipe: T) -> T:
    """The section, for layers that hold no numbers: orthogonal matrices take seconds to be made of none."""
    return recipe.model_copy(update={"recurrent_init": "default"}) if recipe.recurrent_init == "orthogonal" else recipe
