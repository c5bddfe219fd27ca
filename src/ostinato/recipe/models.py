"""The configuration of a run: one frozen model a component, each default written once.

A recipe says where the data is, how columns become sequences, which model reads them and how it is trained. The
resolved recipe (nothing left to infer) is saved with the run as ``recipe.yaml`` and reads back to an equal object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SerializeAsAny, create_model, model_validator

from ostinato.recipe.auto import AutoModel, model_section
from ostinato.recipe.base import Component, components
from ostinato.recipe.data import DataRecipe
from ostinato.recipe.features import FeaturesRecipe, components_from_outside
from ostinato.recipe.model import ModelRecipe
from ostinato.recipe.sections import sections
from ostinato.recipe.training import TrainingRecipe

_LONGEST_NAME = 200
"""Bytes: file systems take 255, and suffixes such as `-comparison` and `.yaml` follow."""


def _folder_name(name: str) -> str:
    if name in ("", ".", "..") or any(sign in name for sign in "/\\\0") or len(name.encode()) > _LONGEST_NAME:
        raise ValueError(
            f"must name a folder below `runs`: 1 to {_LONGEST_NAME} bytes, not `.` or `..`, no slash. "
            f"Received: {name[:50]!r}."
        )
    return name


class Recipe(Component):
    """A whole run."""

    name: Annotated[str, AfterValidator(_folder_name)] = Field("run", description="also of the folder below runs/")
    data: DataRecipe = DataRecipe()
    features: FeaturesRecipe = FeaturesRecipe()
    model: Annotated[SerializeAsAny[ModelRecipe], BeforeValidator(model_section)] = AutoModel()
    training: TrainingRecipe = TrainingRecipe()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        self.model.check(self)
        return self

    @property
    def further_columns(self) -> tuple[str, ...]:
        """The covariates: columns that are read with the input."""
        return tuple(dict.fromkeys((*self.data.extra, *self.features.extra)))

    @property
    def said(self) -> dict[str, Any]:
        """What was set of it, and nothing that is as it is when nothing is said."""
        return self.model_dump(mode="json", exclude_unset=True)


def recipe_schema() -> dict[str, Any]:
    """The JSON schema of recipes: `model` is one of several objects, discriminated by `task`, and what describes
    a column one of several, by `kind`, those of other packages among them."""
    model: Any = (_one_of([AutoModel, *(one.recipe for one in sections())], "task"), AutoModel())
    columns: dict[str, Any] = {}
    for name, field in FeaturesRecipe.model_fields.items():
        kinds = _one_of([*components(field.annotation), *components_from_outside(f"features.{name}")], "kind")
        meant = Field(field.default, description=field.description)
        columns[name] = (Mapping[str, kinds] if name == "extra" else kinds, meant)  # type: ignore[valid-type]
    features = create_model("FeaturesRecipe", __base__=FeaturesRecipe, __doc__=FeaturesRecipe.__doc__, **columns)
    return create_model("Recipe", __base__=Recipe, model=model, features=(features, features())).model_json_schema()


def _one_of(types: list[type[BaseModel]], told_by: str) -> Any:
    """Any of these, distinguished by a key."""
    kinds: Any = types[0]
    for one in types[1:]:
        kinds = kinds | one
    return Annotated[kinds, Field(discriminator=told_by)]
