"""Features by kind: each turns a column into sequences and is saved with the run. A new kind is a file and a line."""

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
from ostinato.data.features.named import NamedBuilder, NamedFeature
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
from ostinato.recipe import Component, TextRecipe

__all__ = [
    "FITTED",
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
    "form_of",
    "load_feature",
    "make_builder",
]

FITTED: dict[str, type[FittedFeature]] = {
    "category": CategoryFeature,
    "dna": DnaFeature,
    "protein": ProteinFeature,
    "numbers": NumbersFeature,
    "tokens": TokensFeature,
    "tags": TagsFeature,
    "notes": NotesFeature,
    "image": ImageFeature,
    "series": SeriesFeature,
    "audio": AudioFeature,
    "video": VideoFeature,
}
"""Every kind but text, by name."""


def form_of(recipe: Component) -> str:
    """What a value of a column read so is (`Feature.form`), told before anything is fitted."""
    encoding = getattr(recipe, "encoding", None)
    if encoding is not None:
        return "ids" if encoding == "ids" else "vectors"
    if getattr(recipe, "characters", False):
        return "words"
    kind = str(getattr(recipe, "kind", "text"))
    return FITTED[kind].form if kind in FITTED else "ids"


def make_builder(recipe: Component) -> FeatureBuilder:
    """What reads a column as a resolved recipe says."""
    if isinstance(recipe, TextRecipe):
        return TextFeatureBuilder(recipe)
    feature = _fitted(str(getattr(recipe, "kind", "")))
    return NamedBuilder(feature, recipe) if issubclass(feature, NamedFeature) else FittedBuilder(feature, recipe)


def load_feature(saved: dict[str, Any]) -> Feature:
    """The inverse of `Feature.to_dict`."""
    kind = saved["recipe"].get("kind", "text")
    if kind == "forecast":
        return ForecastFeature.from_dict(saved)
    return TextFeature.from_dict(saved) if kind == "text" else _fitted(kind).from_dict(saved)


def _fitted(kind: str) -> type[FittedFeature]:
    if kind not in FITTED:
        raise RecipeError(f"no feature reads the kind {kind!r}. There are: text, {', '.join(FITTED)}.")
    return FITTED[kind]
