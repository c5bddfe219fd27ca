"""One file a category of sequence modelling; `build_model` makes the one a resolved recipe asks for."""

from __future__ import annotations

import torch

from ostinato.data.dataset import Features
from ostinato.errors import RecipeError
from ostinato.models.classifier import Classifier
from ostinato.models.language_model import LanguageModel
from ostinato.recipe import ModelRecipe

__all__ = ["Classifier", "LanguageModel", "build_model"]


def build_model(recipe: ModelRecipe, features: Features) -> Classifier | LanguageModel:
    """The model of a resolved recipe, with fresh weights from torch's random generator."""
    counts = torch.from_numpy(features.input.vocabulary.counts)
    if recipe.kind == "language_model":
        return LanguageModel(recipe, features.input.vocab_size, counts)
    if features.target is None:
        raise RecipeError("a classifier needs a target feature; this run has none.")
    return Classifier(recipe, features.input.vocab_size, features.target.num_outputs, counts)
