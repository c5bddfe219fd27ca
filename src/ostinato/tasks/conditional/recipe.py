"""The section `model` of a recipe that writes a sequence for one value."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import DecoderRecipe


class ConditionedDecoderRecipe(DecoderRecipe):
    """What writes a sequence, given one value."""

    condition: Literal["state", "input", "both"] = Field(
        "both", description="what is given sets the first state, is read at every step, or both"
    )


class ConditionalRecipe(WriterRecipe):
    """A decoder that is given one value a row."""

    given_value: ClassVar[bool] = True
    task: Literal["conditional"] = "conditional"
    decoder: ConditionedDecoderRecipe = ConditionedDecoderRecipe()
