"""The section `model` of a recipe that tags."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.errors import RecipeError
from ostinato.recipe.base import Count, Needs, NonNegative, PositiveInt
from ostinato.recipe.features import TextRecipe
from ostinato.recipe.kinds import TagsRecipe
from ostinato.recipe.model import ColumnsRecipe

if TYPE_CHECKING:
    from ostinato.recipe import Recipe


class TaggingRecipe(ColumnsRecipe):
    """An output for each step."""

    answers: ClassVar[Literal["row", "step", "sequence"]] = "step"
    weighs_classes: ClassVar[bool] = True
    usual_target: ClassVar[str | None] = "tags"
    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "words"
    needs: ClassVar[Needs] = {"beam_size": ("`output: ctc`", lambda model: model.output == "ctc")}
    task: Literal["tagging"] = "tagging"
    output: Literal["softmax", "crf", "ctc"] = Field(
        "softmax", description="crf: a score of the whole sequence of tags; ctc: labels shorter than the input"
    )
    delay: Count = Field(0, description="the answer for step t is given at step t + delay (not if bidirectional)")
    beam_size: PositiveInt = Field(1, description="ctc: prefixes kept while decoding; 1: the likeliest path")
    feedback: Literal["none", "output"] = Field(
        "none", description="output: each step also reads the answer before (in training the true one)"
    )
    head_size: Count = Field(0, description="units of a ReLU layer before the output")
    unknown_words: NonNegative = Field(
        0.0, description="while training, a word seen c times is read as <unk> with probability a / (a + c)"
    )

    @model_validator(mode="after")
    def _check_tagging(self) -> TaggingRecipe:
        if self.delay and (self.bidirectional or self.output == "ctc"):
            why = (
                "a bidirectional network reads what follows anyway"
                if self.bidirectional
                else "ctc finds its own alignment"
            )
            raise ValueError(f"`model.delay` does not apply here: {why}. Received: {self.delay}.")
        return self

    @property
    def aligned(self) -> bool:
        """Labels without alignment are not."""
        return self.output != "ctc"

    def needs_whole_rows(self, recipe: Recipe) -> dict[str, object]:
        """A chain of tags, labels without alignment, a delay, feedback and further columns, too."""
        return {
            **super().needs_whole_rows(recipe),
            "model.output": self.output if self.output != "softmax" else "",
            "model.delay": self.delay,
            "model.feedback": self.feedback if self.feedback != "none" else "",
            "data.extra": ", ".join(recipe.further_columns),
        }

    def check(self, recipe: Recipe) -> None:
        """Feedback is decided step by step."""
        super().check(recipe)
        whole = {"output": self.output if self.output != "softmax" else "", "delay": self.delay}
        for key, value in (whole | {"bidirectional": self.bidirectional}).items():
            if value and self.feedback == "output":
                raise RecipeError(
                    f"`model.feedback: output` answers step by step: it does not go with `model.{key}`. "
                    f"Received: {value!r}.",
                    hint="--set model.feedback=none",
                )

    def check_resolved(self, recipe: Recipe) -> None:
        """The target must be one that the output is of."""
        features, target = recipe.features, recipe.features.target
        if isinstance(features.input, TextRecipe) and features.input.max_length is not None and self.output != "ctc":
            raise RecipeError("`features.input.max_length` does not apply to a tagger: its target would not be cut.")
        if isinstance(features.input, TextRecipe) and features.input.unit == "subwords" and self.output != "ctc":
            raise RecipeError("`features.input.unit` must be words or characters for a tagger. Received: subwords.")
        allowed = {"softmax": ("tags", "notes", "series"), "crf": ("tags",), "ctc": ("tags", "tokens", "text")}
        if target.kind not in allowed[self.output]:
            raise RecipeError(
                f"`features.target.kind` must be {' or '.join(allowed[self.output])} for `model.output: "
                f"{self.output}`. Received: {target.kind}.",
                hint=f"--set features.target.kind={allowed[self.output][0]}",
            )
        if isinstance(target, TagsRecipe) and target.ignore and self.output == "ctc":
            raise RecipeError(f"`features.target.ignore` does not apply with output: ctc. Received: {target.ignore}.")
        if recipe.training.label_smoothing and (self.output != "softmax" or target.kind == "series"):
            what = self.output if self.output != "softmax" else "a target of numbers"
            raise RecipeError(
                f"`training.label_smoothing` does not apply with {what}. Received: {recipe.training.label_smoothing}."
            )
        words = (features.input.kind, getattr(features.input, "unit", None))
        if self.unknown_words and words not in (("tokens", None), ("text", "words")):
            raise RecipeError(f"`model.unknown_words` needs words as input. Received: {self.unknown_words}.")
