"""The section `model` of a recipe that writes a sequence of its own for each one it reads."""

from __future__ import annotations

from typing import ClassVar, Literal

from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import AttentionDecoderRecipe


class SequenceToSequenceRecipe(WriterRecipe):
    """An encoder, and a decoder that may look at what it read."""

    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "by_cells"
    task: Literal["seq2seq"] = "seq2seq"
    decoder: AttentionDecoderRecipe = AttentionDecoderRecipe()
