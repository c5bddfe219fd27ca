"""The section `model` of a recipe of a language model."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.recipe.model import EmbeddingRecipe, NgramsRecipe


class LanguageModelRecipe(EmbeddingRecipe, NgramsRecipe):
    """The next token of running text."""

    rows: ClassVar[Literal["independent", "text", "series"]] = "text"
    answers: ClassVar[Literal["row", "step", "sequence"]] = "step"
    predicts_column: ClassVar[bool] = False
    task: Literal["language_model"] = "language_model"
    tie_embeddings: bool = Field(False, description="output weights are the embedding's")

    @model_validator(mode="after")
    def _check_direction(self) -> LanguageModelRecipe:
        if self.bidirectional:
            raise ValueError(
                "`model.bidirectional` must be false for a language model: it would read what it predicts."
            )
        return self
