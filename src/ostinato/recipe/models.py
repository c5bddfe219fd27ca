"""The configuration of a run: one frozen model a component, each default written once.

A recipe says where the data is, how columns become sequences, which model reads them and how it is trained. The
resolved recipe (nothing left to infer) is saved with the run as ``recipe.yaml`` and reads back to an equal object.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from ostinato.recipe.base import Component
from ostinato.recipe.data import DataRecipe
from ostinato.recipe.features import FeaturesRecipe
from ostinato.recipe.model import ModelRecipe
from ostinato.recipe.training import TrainingRecipe


class Recipe(Component):
    """A whole run."""

    name: str = Field("run", min_length=1, pattern=r"^[^/\\]+$")
    data: DataRecipe = DataRecipe()
    features: FeaturesRecipe = FeaturesRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = TrainingRecipe()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.training.adversarial and self.model.embedding == "one_hot":
            raise ValueError("`training.adversarial` needs learned embeddings. Received: model.embedding: one_hot.")
        if self.training.vanishing_penalty:
            for name in ("recurrent_dropout", "weight_dropout", "zoneout", "recompute"):
                if getattr(self.model, name):
                    raise ValueError(
                        f"`training.vanishing_penalty` does not go with `model.{name}`. "
                        f"Received: {getattr(self.model, name)!r}."
                    )
        return self
