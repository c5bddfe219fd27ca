"""The section `model` of a recipe of a language model."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ostinato.recipe.base import Needs, no_bool
from ostinato.recipe.model import EmbeddingRecipe


class LanguageModelRecipe(EmbeddingRecipe):
    """The next token of running text."""

    rows: ClassVar[Literal["independent", "text", "series"]] = "text"
    answers: ClassVar[Literal["row", "step", "sequence"]] = "step"
    predicts_column: ClassVar[bool] = False
    needs: ClassVar[Needs] = {"ngram_combination": ("`ngrams`", lambda model: model.ngrams)}
    task: Literal["language_model"] = "language_model"
    tie_embeddings: bool = Field(False, description="output weights are the embedding's")
    ngrams: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=12)] = Field(
        0, description="n-grams up to this length, counted on the training text, that the network builds on; 0: none"
    )
    ngram_combination: Literal["logits", "mixture"] = Field(
        "logits",
        description="of n-grams and network: their log-probabilities are added to its scores, or the probabilities of "
        "both are mixed; how much of each, the network says at every step",
    )

    @model_validator(mode="after")
    def _check_direction(self) -> LanguageModelRecipe:
        if self.bidirectional:
            raise ValueError(
                "`model.bidirectional` must be false for a language model: it would read what it predicts."
            )
        return self
