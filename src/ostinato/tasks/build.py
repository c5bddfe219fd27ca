"""One file a category of sequence modelling; `build_model` makes the one a resolved recipe asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from ostinato.data.batching import Batch
from ostinato.data.dataset import Features
from ostinato.data.features import Feature, TextFeature
from ostinato.errors import RecipeError
from ostinato.layers.covariates import BesideInputs
from ostinato.layers.frame_decoder import FrameDecoder, Frames
from ostinato.layers.inputs import input_layer
from ostinato.recipe import ModelRecipe, TrainingRecipe
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.forecasting.model import Forecaster, build_forecaster
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.next_step.model import NextStep, build_next_step
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.tagging.feedback import build_any_tagger
from ostinato.tasks.tagging.model import Tagger

__all__ = [
    "BUILDERS",
    "Classifier",
    "Conditional",
    "Ensemble",
    "Forecaster",
    "FrameDecoder",
    "Frames",
    "LanguageModel",
    "NextStep",
    "RowModel",
    "Seq2Seq",
    "Tagger",
    "build_model",
]


@runtime_checkable
class RowModel(Protocol):
    """A model of independent rows that knows its own loss: all that training needs of a category."""

    def loss(self, batch: Batch, training: TrainingRecipe) -> Tensor:
        """The mean loss of a batch, with gradients; nats a token (or a row, a frame), or squared error."""


def _classifier(recipe: ModelRecipe, features: Features) -> nn.Module:
    if recipe.members > 1:
        return Ensemble([_one_classifier(recipe, features) for _ in range(recipe.members)], features.row_target)
    return _one_classifier(recipe, features)


def _one_classifier(recipe: ModelRecipe, features: Features) -> Classifier:
    feature, beside = features.input, BesideInputs(recipe, features.extra) if features.extra else None
    outputs = features.row_target.num_outputs
    if isinstance(feature, TextFeature):
        counts = torch.from_numpy(feature.counts)
        return Classifier(recipe, feature.vocab_size, outputs, counts, beside=beside)
    return Classifier(recipe, 0, outputs, inputs=input_layer(feature, recipe), beside=beside)


def _language_model(recipe: ModelRecipe, features: Features) -> nn.Module:
    return LanguageModel(recipe, features.text.vocab_size, torch.from_numpy(features.text.counts))


def _seq2seq(recipe: ModelRecipe, features: Features) -> nn.Module:
    written = _written(features, recipe)
    beside = BesideInputs(recipe, features.extra) if features.extra else None
    return Seq2Seq(recipe, input_layer(features.input, recipe), *written, beside=beside)


def _conditional(recipe: ModelRecipe, features: Features) -> nn.Module:
    written = _written(features, recipe)
    beside = BesideInputs(recipe, features.extra) if features.extra else None
    return Conditional(recipe, input_layer(features.input, recipe), *written, beside=beside)


def _written(features: Features, recipe: ModelRecipe) -> tuple[int | Frames, Tensor | None]:
    """What the target's steps are: how many different tokens, and how often training had each; or frames."""
    target = features.target
    if isinstance(target, Feature) and target.form == "ids":
        ids = cast("Any", target)
        return ids.vocab_size, torch.from_numpy(ids.counts)
    if isinstance(target, Feature) and target.ragged and target.form in ("vectors", "pictures"):
        return Frames.of(target), None
    kind = target.kind if target is not None else "none"
    raise RecipeError(
        f"`features.target.kind` must be a sequence for a {recipe.kind}. Received: {kind!r}.",
        hint="--set features.target.kind=text writes tokens, =series, =notes, =audio or =video frames",
    )


BUILDERS: dict[str, Callable[[ModelRecipe, Features], nn.Module]] = {
    "classifier": _classifier,
    "conditional": _conditional,
    "forecaster": build_forecaster,
    "language_model": _language_model,
    "next_step": build_next_step,
    "seq2seq": _seq2seq,
    "tagger": build_any_tagger,
}
"""By `model.kind`."""


def build_model(recipe: ModelRecipe, features: Features) -> nn.Module:
    """The model of a resolved recipe, with fresh weights from torch's random generator."""
    return BUILDERS[recipe.kind](recipe, features)
