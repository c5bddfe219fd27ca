"""The configuration: frozen models (`models` and its parts), and reading, overriding, validating, writing (`load`)."""

from ostinato.recipe.auto import AutoModel
from ostinato.recipe.base import Component
from ostinato.recipe.data import DataRecipe
from ostinato.recipe.features import FeaturesRecipe, InputRecipe, OutputRecipe, TargetRecipe, TextRecipe
from ostinato.recipe.load import (
    Settings,
    apply_overrides,
    build_recipe,
    build_saved,
    described,
    dump_recipe,
    load_recipe,
    name_of,
    named_after_data,
    read_recipe,
    ready_recipes,
    remove,
)
from ostinato.recipe.migrate import migrated
from ostinato.recipe.model import ModelRecipe
from ostinato.recipe.models import Recipe, recipe_schema
from ostinato.recipe.training import LOWER_IS_BETTER, BpttRecipe, TrainingRecipe

__all__ = [
    "LOWER_IS_BETTER",
    "AutoModel",
    "BpttRecipe",
    "Component",
    "DataRecipe",
    "FeaturesRecipe",
    "InputRecipe",
    "ModelRecipe",
    "OutputRecipe",
    "Recipe",
    "Settings",
    "TargetRecipe",
    "TextRecipe",
    "TrainingRecipe",
    "apply_overrides",
    "build_recipe",
    "build_saved",
    "described",
    "dump_recipe",
    "load_recipe",
    "migrated",
    "name_of",
    "named_after_data",
    "read_recipe",
    "ready_recipes",
    "recipe_schema",
    "remove",
]
