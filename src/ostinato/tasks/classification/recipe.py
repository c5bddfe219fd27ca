"""The section `model` of a recipe that classifies."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ostinato.recipe.base import Component, Count, Needs, PositiveInt, no_bool
from ostinato.recipe.model import PoolingRecipe


class ConvolutionRecipe(Component):
    """Convolutions over time in parallel to the recurrent layers (LSTM-FCN): the head gets the mean of what they find
    in a row, too. Each is followed by batch normalisation and ReLU."""

    needs: ClassVar[Needs] = {"kernels": ("`channels`", lambda convolution: convolution.channels)}
    channels: tuple[PositiveInt, ...] = Field((), description="of each convolution over time; none: there is none")
    kernels: tuple[PositiveInt, ...] = Field((7, 5, 3), description="steps that each of them sees: odd numbers")

    @model_validator(mode="after")
    def _check(self) -> ConvolutionRecipe:
        if self.channels and len(self.kernels) != len(self.channels):
            raise ValueError(
                f"`model.convolution.kernels` must be as many as channels ({len(self.channels)}). "
                f"Received: {list(self.kernels)}."
            )
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"`model.convolution.kernels` must be odd numbers. Received: {list(self.kernels)}.")
        return self


class ClassificationRecipe(PoolingRecipe):
    """A class, labels or a number for each row."""

    weighs_classes: ClassVar[bool] = True
    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "words"
    needs: ClassVar[Needs] = dict.fromkeys(
        ("ngram_buckets", "ngram_letters", "ngram_edges"), ("`ngrams`", lambda model: model.ngrams)
    )
    task: Literal["classification"] = "classification"
    head_size: Count = Field(0, description="units of a ReLU layer before the output")
    ngrams: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=4)] = Field(
        0, description="a linear score of n-grams up to this length, added to the recurrent path; 0: none"
    )
    ngram_buckets: PositiveInt = Field(1 << 20, description="weights that hashed n-grams share")
    ngram_letters: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=6)] = Field(
        0, description="words: it reads their spelling, too, in pieces of up to so many letters; 0: it does not"
    )
    ngram_edges: bool = Field(True, description="the ends of a row count as tokens in n-grams of two and more")
    random_kernels: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=50_000)] = Field(
        0,
        description="of classes: a linear score of about so many features of random convolutions (MiniRocket), "
        "added to the recurrent path; 0: none",
    )
    members: PositiveInt = Field(
        1, description="so many networks, trained side by side, answer with the mean of their probabilities"
    )
    convolution: ConvolutionRecipe = ConvolutionRecipe()
    calibration: Literal["none", "temperature"] = Field(
        "temperature", description="of classes: probabilities are fitted to the validation rows once training has ended"
    )
    threshold: Literal["f1"] | Annotated[float, BeforeValidator(no_bool), Field(gt=0, lt=1)] | None = Field(
        None,
        description="two classes: the probability from which the second is the answer; f1: that of the best F1",
    )
