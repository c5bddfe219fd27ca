"""What is given to a conditional model: one value a row."""

from __future__ import annotations

from ostinato.data.features import FEATURES
from ostinato.errors import RecipeError
from ostinato.recipe import Component, Recipe


def is_fixed(component: Component) -> bool:
    """Whether a column read so has one value a row."""
    kind = str(getattr(component, "kind", "text"))
    return kind in FEATURES and not FEATURES[kind].ragged


def check_conditional(recipe: Recipe) -> None:
    """Raise `RecipeError` where a conditional model would be given a sequence."""
    if recipe.model.given_value and not is_fixed(recipe.features.input):
        fixed = ", ".join(kind for kind, feature in FEATURES.items() if not feature.ragged)
        raise RecipeError(
            f"a conditional model is given one value a row: `features.input.kind` must be one of {fixed}. "
            f"Received: {recipe.features.input.kind!r}.",
            hint="a sequence is read by a seq2seq: --set model.task=seq2seq",
        )
