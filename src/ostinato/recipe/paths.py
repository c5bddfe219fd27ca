"""What may stand in a recipe: its options by their paths, and the types they may have."""

from __future__ import annotations

from collections.abc import Iterator
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from ostinato.recipe.base import components
from ostinato.recipe.features import components_from_outside
from ostinato.recipe.models import Recipe
from ostinato.recipe.sections import entries, section, sections


def option_paths(task: str = "auto") -> list[str]:
    """Every option and group of options that a recipe of a task may have; while it is open, of any."""
    return list(dict.fromkeys(_paths(Recipe, "", task)))


def types_at(path: str) -> list[Any]:
    """The types that the option at a path may have."""
    return [one for members in _members_at(path) for one in sorted(members, key=str)]


def holds_texts(path: str, *, list_of: bool) -> bool:
    """Whether the option at a path may be a text, or else a list of texts, and is never anything else (but none)."""
    found = _members_at(path)
    wanted, others = (tuple[str, ...], {str, bool}) if list_of else (str, {tuple[str, ...]})
    return bool(found) and all(wanted in one and one <= {wanted, NoneType, *others} for one in found)


def models_at(location: list[str], kind: str | None, task: str) -> list[type[BaseModel]]:
    """The components that a path may have; `kind` and `task` say which where there are several."""
    models: list[type[BaseModel]] = [Recipe]
    for depth, part in enumerate(location):
        found = [
            one for model in models if (field := model.model_fields.get(part)) for one in components(field.annotation)
        ]
        found += components_from_outside(".".join(location[: depth + 1]))
        if location[: depth + 1] == ["model"]:
            found = [section(task).recipe] if task in entries() else [one.recipe for one in sections()]
        named = [one for one in found if len(found) > 1 and kind in get_args(kind_field(one))]
        models = named or found or models
    return models


def kind_field(model: type[BaseModel]) -> Any:
    return model.model_fields["kind"].annotation if "kind" in model.model_fields else None


def _members_at(path: str) -> list[set[Any]]:
    """The types of an option, of each component that has it."""
    location = path.split(".")
    fields = [one.model_fields.get(location[-1]) for one in models_at(location[:-1], None, "auto")]
    return [_members(one.annotation) for one in fields if one is not None]


def _members(annotation: Any) -> set[Any]:
    """The types that a field may have."""
    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return {one for part in get_args(annotation) for one in _members(part)}
    return {annotation}


def _paths(component: type[BaseModel], path: str, task: str) -> Iterator[str]:
    """Every option that a recipe may have; of `model` those of a task, or, while it is open, of all."""
    for name, field in component.model_fields.items():
        here = f"{path}{name}"
        inner = components(field.annotation)
        if here == "model":
            inner = [section(task).recipe] if task in entries() else [one.recipe for one in sections()]
        yield here
        for one in inner:
            yield from _paths(one, f"{here}.", task)
