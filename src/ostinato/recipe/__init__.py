"""The configuration: frozen models (`models`), and reading, overriding, validating and writing them (`load`)."""

from ostinato.recipe.load import apply_overrides, build_recipe, dump_recipe, load_recipe, read_recipe, ready_recipes
from ostinato.recipe.models import (
    BpttRecipe,
    DataRecipe,
    FeaturesRecipe,
    ModelRecipe,
    Recipe,
    TargetRecipe,
    TextRecipe,
    TrainingRecipe,
)

__all__ = [
    "BpttRecipe",
    "DataRecipe",
    "FeaturesRecipe",
    "ModelRecipe",
    "Recipe",
    "TargetRecipe",
    "TextRecipe",
    "TrainingRecipe",
    "apply_overrides",
    "build_recipe",
    "dump_recipe",
    "load_recipe",
    "read_recipe",
    "ready_recipes",
]
