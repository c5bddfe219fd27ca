"""From a recipe to a classifier."""

from __future__ import annotations

import torch
from torch import nn

from ostinato.data.dataset import Features
from ostinato.data.features import TextFeature
from ostinato.heads.build import row_head
from ostinato.layers.covariates import RowCovariates
from ostinato.layers.inputs import input_layer
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe


def build_classifier(recipe: ClassificationRecipe, features: Features) -> nn.Module:
    """The classifier of a resolved recipe; several that answer as one where it says so."""
    if recipe.members > 1:
        return Ensemble([_one_classifier(recipe, features) for _ in range(recipe.members)])
    return _one_classifier(recipe, features)


def _one_classifier(recipe: ClassificationRecipe, features: Features) -> Classifier:
    feature, covariates = features.input, RowCovariates(recipe, features.extra) if features.extra else None
    outputs, head = features.row_target.num_outputs, row_head(features.row_target)
    if isinstance(feature, TextFeature):
        counts = torch.from_numpy(feature.counts)
        return Classifier(recipe, feature.vocab_size, outputs, counts, covariates=covariates, head=head)
    return Classifier(recipe, 0, outputs, inputs=input_layer(feature, recipe), covariates=covariates, head=head)
