"""The section `model` of a recipe that predicts the next frame."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.errors import RecipeError
from ostinato.recipe.base import Needs, PositiveInt
from ostinato.recipe.model import ColumnsRecipe, FrameOutputRecipe

if TYPE_CHECKING:
    from ostinato.recipe import Recipe


class NextStepRecipe(ColumnsRecipe, FrameOutputRecipe):
    """The distribution of the next frame."""

    answers: ClassVar[Literal["row", "step", "sequence"]] = "step"
    predicts_column: ClassVar[bool] = False
    writes: ClassVar[Literal["", "input", "target"]] = "input"
    needs: ClassVar[Needs] = {"reach": ("`recurrence: note`", lambda model: model.recurrence == "note")}
    task: Literal["next_step"] = "next_step"
    recurrence: Literal["frame", "note"] = Field(
        "frame",
        description="frame: one state, which reads whole frames; note: each note has a state and sees what sounds "
        "around it, with weights that all notes share",
    )
    reach: PositiveInt = Field(12, description="recurrence: note: how far up and down a note sees")
    cut_frames: PositiveInt | None = Field(
        None, description="longer rows are cut to at most so many frames for training, the state lost at each cut"
    )

    @model_validator(mode="after")
    def _check_notes(self) -> NextStepRecipe:
        if self.bidirectional:
            raise ValueError("`model.bidirectional` must be false for next_step: it would read what it predicts.")
        if self.recurrence == "note" and self.notes.output == "nade":
            raise ValueError(
                "`model.notes.output: nade` reads one state a frame, and with `recurrence: note` each note has its "
                "own. `autoregressive` also gives each note those below it. Received: nade."
            )
        return self

    def needs_whole_rows(self, recipe: Recipe) -> dict[str, object]:
        """Transposition and further columns, too."""
        transpose = getattr(recipe.features.input, "transpose", 0)
        return {
            **super().needs_whole_rows(recipe),
            "features.input.transpose": transpose,
            "data.extra": ", ".join(recipe.further_columns),
        }

    def check(self, recipe: Recipe) -> None:
        """A state for each note has no place for further columns."""
        super().check(recipe)
        if recipe.further_columns and self.recurrence == "note":
            raise RecipeError(
                "`model.recurrence: note` reads notes alone. Received: `data.extra` = "
                f"{', '.join(recipe.further_columns)}.",
                hint="--set model.recurrence=frame",
            )
