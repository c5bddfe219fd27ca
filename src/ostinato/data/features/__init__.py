"""Features by kind: each turns a column into sequences and is saved with the run.

A new kind is a file that says everything of itself (`Feature.recipe_type`, `form_of`, `builder`, `from_dict`), and a
line here; or, from another package, an entry point of the group `ostinato.features`.
"""

from __future__ import annotations

from typing import Any

from ostinato.data.features.audio import AudioFeature
from ostinato.data.features.base import (
    Draft,
    Feature,
    FeatureBuilder,
    FittedBuilder,
    FittedFeature,
    TrainingPart,
)
from ostinato.data.features.category import CategoryFeature
from ostinato.data.features.dna import DnaFeature
from ostinato.data.features.image import ImageFeature
from ostinato.data.features.notes import NotesFeature
from ostinato.data.features.numbers import NumbersFeature
from ostinato.data.features.protein import ProteinFeature
from ostinato.data.features.series import SeriesFeature
from ostinato.data.features.tags import TagsFeature
from ostinato.data.features.text import TextFeature, TextFeatureBuilder
from ostinato.data.features.tokens import TokensFeature
from ostinato.data.features.video import VideoFeature
from ostinato.data.forecasting.feature import ForecastFeature
from ostinato.errors import RecipeError
from ostinato.plugins import Registry
from ostinato.recipe import Component
from ostinato.recipe import features as recipe_features

__all__ = [
    "FEATURES",
    "Draft",
    "Feature",
    "FeatureBuilder",
    "FittedBuilder",
    "FittedFeature",
    "TagsFeature",
    "TextFeature",
    "TextFeatureBuilder",
    "TokensFeature",
    "TrainingPart",
    "feature_named",
    "feature_type",
    "form_of",
    "is_fixed",
    "load_feature",
    "make_builder",
]


FEATURES: Registry[type[Feature]] = recipe_features.FEATURES
"""Every feature by its kind; those of other packages come from the entry points `ostinato.features`."""

for _feature in (
    TextFeature,
    CategoryFeature,
    DnaFeature,
    ProteinFeature,
    NumbersFeature,
    TokensFeature,
    TagsFeature,
    NotesFeature,
    ImageFeature,
    SeriesFeature,
    AudioFeature,
    VideoFeature,
):
    FEATURES.add(_feature.recipe_type.model_fields["kind"].default, _feature)
FEATURES.add("forecast", ForecastFeature)


def form_of(recipe: Component) -> str:
    """What a value of a column read so is (`Feature.form`), known before anything is fitted."""
    kind = str(getattr(recipe, "kind", "text"))
    return FEATURES[kind].form_of(recipe) if kind in FEATURES else "ids"


def feature_type(recipe: Component) -> type[Feature] | None:
    """What reads a column so; None for one value a row that is predicted (`data.targets`)."""
    return FEATURES.get(str(getattr(recipe, "kind", "")))


def is_fixed(recipe: Component) -> bool:
    """Whether a column read so has one value a row."""
    feature = feature_type(recipe)
    return feature is not None and not feature.ragged


def make_builder(recipe: Component) -> FeatureBuilder:
    """What reads a column as a resolved recipe says."""
    return feature_named(str(getattr(recipe, "kind", ""))).builder(recipe)


def load_feature(saved: dict[str, Any]) -> Feature:
    """The inverse of `Feature.to_dict`."""
    return feature_named(saved["recipe"].get("kind", "text")).from_dict(saved)


def feature_named(kind: str) -> type[Feature]:
    """The feature of that kind. Raises `RecipeError` where there is none."""
    if kind not in FEATURES:
        raise RecipeError(f"no feature reads the kind {kind!r}. There are: {', '.join(FEATURES)}.")
    return FEATURES[kind]
