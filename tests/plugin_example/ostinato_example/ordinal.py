"""A task from outside: ordinal regression, a grade from an ordered scale for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from ostinato.errors import RecipeError
from ostinato.recipe import Recipe
from ostinato.recipe.model import PoolingRecipe
from ostinato.tasks.spec import TaskSpec

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ostinato.baselines.base import Baseline, BaselineComparison
    from ostinato.data.dataset import Examples, Features
    from ostinato.metrics.classification import Metrics
    from ostinato.metrics.prediction import Prediction


class OrdinalRecipe(PoolingRecipe):
    """Its section of a recipe: `model.task: ordinal_regression`."""

    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "words"
    task: Literal["ordinal_regression"] = "ordinal_regression"

    def check_resolved(self, recipe: Recipe) -> None:
        """The target's classes are grades."""
        if recipe.features.target.kind not in ("auto", "class"):
            raise RecipeError(
                "an ordinal regression needs a target of classes, whose names are grades. Received: "
                f"`features.target.kind` = {recipe.features.target.kind!r}."
            )


class OrdinalRegression(TaskSpec):
    """Many-to-one: whole numbers, of which more is more."""

    name, noun = "ordinal_regression", "ordinal regression"
    recipe = OrdinalRecipe

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """Thresholds on one score of a sequence."""
        from ostinato_example.model import OrdinalModel

        return OrdinalModel(OrdinalRecipe.of(recipe), features)

    def evaluate(
        self, model: nn.Module, examples: Examples, features: Features, recipe: Recipe, device: torch.device
    ) -> Metrics:
        """Loss, accuracy, and the mean absolute error in grades."""
        from ostinato_example.model import evaluate

        return evaluate(model, examples, device)

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Accuracy and mean absolute error."""
        return ("accuracy", "mae")

    def predict(
        self, model: nn.Module, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """The likeliest grade of each row, with the probability of each."""
        from ostinato_example.model import predict

        return predict(model, examples, features, device)

    def comparison(self, recipe: Recipe) -> type[BaselineComparison]:
        """Mean absolute error."""
        from ostinato_example.baselines import GradeComparison

        return GradeComparison

    def baselines(self, recipe: Recipe) -> list[type[Baseline]]:
        """The median grade."""
        from ostinato_example.baselines import MedianGrade

        return [MedianGrade]


SPEC = OrdinalRegression()
