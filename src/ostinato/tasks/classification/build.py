"""From a recipe to a classifier."""

from __future__ import annotations

from dataclasses import replace

import torch

from ostinato.data.dataset import Features
from ostinato.data.features import TextFeature
from ostinato.errors import RecipeError
from ostinato.heads.build import row_head
from ostinato.heads.classes import TwoClasses
from ostinato.layers.covariates import RowCovariates
from ostinato.layers.inputs import input_layer
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe


def build_classifier(recipe: ClassificationRecipe, features: Features) -> Classifier | Ensemble:
    """The classifier of a resolved recipe; several that answer as one where it says so.

    Raises:
        RecipeError: for a threshold where there are not two classes.
    """
    model = _classifier(recipe, features)
    if recipe.threshold is not None:
        if not isinstance(model.head, TwoClasses):
            raise RecipeError(f"`model.threshold` only applies with two classes. Received: {recipe.threshold}.")
        if recipe.threshold != "f1":
            model.head.decisions = replace(model.head.decisions, threshold=recipe.threshold)
    return model


def _classifier(recipe: ClassificationRecipe, features: Features) -> Classifier | Ensemble:
    if recipe.members == 1:
        return _one_classifier(recipe, features)
    alone = recipe.model_copy(update={"ngrams": 0, "random_kernels": 0})
    members = [_one_classifier(alone, features) for _ in range(recipe.members)]
    feature = features.input
    if isinstance(feature, TextFeature):
        return Ensemble(members, recipe, feature.vocab_size, feature.vocabulary.tokens)
    return Ensemble(members, recipe)


def _one_classifier(recipe: ClassificationRecipe, features: Features) -> Classifier:
    feature, covariates = features.input, RowCovariates(recipe, features.extra) if features.extra else None
    outputs, head = features.row_target.num_outputs, row_head(features.row_target)
    if isinstance(feature, TextFeature):
        counts = torch.from_numpy(feature.counts)
        words = feature.vocabulary.tokens
        return Classifier(
            recipe, feature.vocab_size, outputs, counts, covariates=covariates, head=head, vocabulary=words
        )
    return Classifier(recipe, 0, outputs, inputs=input_layer(feature, recipe), covariates=covariates, head=head)
