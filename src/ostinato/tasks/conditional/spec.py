"""One-to-many: a sequence is written for one value a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.conditional.recipe import ConditionalRecipe
from ostinato.tasks.writing import SequenceWriting, Writer

if TYPE_CHECKING:
    import torch

    from ostinato.data.dataset import Examples, Features, Prepared
    from ostinato.data.inference.sample import DataSample
    from ostinato.metrics.prediction import Prediction
    from ostinato.recipe import Recipe
    from ostinato.tasks.conditional.model import Conditional
    from ostinato.tasks.plan import Plan, Shape


class ConditionalGeneration(SequenceWriting["Conditional"]):
    """One-to-many."""

    name, noun = "conditional", "conditional"
    recipe = ConditionalRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """A sequence for one value a row."""
        from ostinato.data.features import feature_type, is_fixed

        data, features = recipe.data, recipe.features
        if data.target is None or feature_type(features.target) is None or not is_fixed(features.input):
            return None
        return f"{data.input} is one value a row, {data.target} a sequence"

    def shape(self, prepared: Prepared) -> Shape:
        """Of what is written."""
        from ostinato.tasks.plan import Shape

        return Shape.of(prepared, prepared.train.target_sequences)

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By the unit of what is written."""
        from ostinato.tasks.conditional.plan import plan

        return plan(shape, recipe)

    def writer(self) -> Writer:
        """N-grams, of all and of each value, to compare with."""
        from ostinato.tasks.conditional.writer import WRITER

        return WRITER

    def figures(self, recipe: Recipe, validation: Examples | None = None) -> tuple[str, ...]:
        """Errors of what is written, where each value has one answer."""
        from ostinato.tasks.given import has_one_answer

        if validation is not None and not self.frames_of(recipe) and not has_one_answer(validation):
            return ()
        return super().figures(recipe)

    def predict(
        self, model: Conditional, examples: Examples, features: Features, device: torch.device
    ) -> list[Prediction]:
        """The likeliest sequence for each row; a value that training never showed is refused."""
        from ostinato.tasks.given import refuse_unknown

        refuse_unknown(examples, features)
        return super().predict(model, examples, features, device)


SPEC = ConditionalGeneration()
