"""The section `model` of a recipe that writes a sequence for one value."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from ostinato.errors import RecipeError
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import DecoderRecipe

if TYPE_CHECKING:
    from ostinato.recipe import Recipe


class ConditionedDecoderRecipe(DecoderRecipe):
    """What writes a sequence, given one value."""

    condition: Literal["state", "input", "both"] = Field(
        "both", description="the given value sets the initial state, is read at every step, or both"
    )


class ConditionalRecipe(WriterRecipe):
    """A decoder that is given one value a row."""

    given_value: ClassVar[bool] = True
    task: Literal["conditional"] = "conditional"
    decoder: ConditionedDecoderRecipe = ConditionedDecoderRecipe()

    def check_resolved(self, recipe: Recipe) -> None:
        """No sequence is given."""
        from ostinato.data.features import FEATURES, is_fixed

        super().check_resolved(recipe)
        if is_fixed(recipe.features.input):
            return
        fixed = ", ".join(kind for kind, feature in FEATURES.items() if not feature.ragged)
        raise RecipeError(
            f"a conditional model is given one value a row: `features.input.kind` must be one of {fixed}. "
            f"Received: {recipe.features.input.kind!r}.",
            hint="a sequence is read by a seq2seq: --set model.task=seq2seq",
        )
