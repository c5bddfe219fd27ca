"""The section `model` of a recipe that forecasts."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, model_validator

from ostinato.errors import RecipeError
from ostinato.recipe.forecast import POINT_OUTPUTS, WindowsRecipe
from ostinato.recipe.model import ModelRecipe

if TYPE_CHECKING:
    from ostinato.recipe import Recipe


class ForecastingRecipe(WindowsRecipe, ModelRecipe):
    """The future of time series."""

    rows: ClassVar[Literal["independent", "text", "series"]] = "series"
    answers: ClassVar[Literal["row", "step", "sequence"]] = "sequence"
    predicts_column: ClassVar[bool] = False
    reads_windows: ClassVar[bool] = False
    task: Literal["forecasting"] = "forecasting"
    blend: Literal["none", "auto", "always"] = Field(
        "none",
        description="the network forecasts the difference from a linear map, solved before training; auto: validation "
        "windows decide how much of it counts; always: all of it",
    )

    @model_validator(mode="after")
    def _check_strategy(self) -> ForecastingRecipe:
        if self.bidirectional and self.strategy != "direct":
            raise ValueError(f"`model.bidirectional` must be false for strategy: {self.strategy}. Received: true.")
        if self.strategy == "autoregressive" and self.output == "quantiles":
            raise ValueError("`model.output: quantiles` can't be drawn from step by step. Received: autoregressive.")
        if self.blend != "none" and (
            self.residual or self.strategy == "autoregressive" or self.output not in POINT_OUTPUTS
        ):
            raise ValueError(
                f"`model.blend` only applies with `strategy`: direct or segment, `output`: {', '.join(POINT_OUTPUTS)}, "
                f"and no `residual`. Received: {self.strategy}, {self.output}, {list(self.residual)}."
            )
        return self

    def check(self, recipe: Recipe) -> None:
        """Columns that are known up to the present only can't be read after it."""
        super().check(recipe)
        if self.strategy == "autoregressive" and recipe.data.past:
            raise RecipeError(
                "`data.past` does not go with strategy: autoregressive: after the present these columns are not known. "
                f"Received: {', '.join(recipe.data.past)}."
            )
