"""The section `model` of a recipe: that of its task, or, while the task is open, the options as they were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, SerializerFunctionWrapHandler, ValidationError, model_serializer

from ostinato.recipe.base import Item, SectionError
from ostinato.recipe.model import ModelRecipe
from ostinato.recipe.sections import entries, section, sections


class AutoModel(ModelRecipe):
    """Options of which each means something to one task at least, as they were given."""

    undecided: ClassVar[bool] = True
    model_config = ConfigDict(extra="allow")
    task: Literal["auto"] = "auto"

    @property
    def aligned(self) -> bool:
        """Whether any task that these options go with would be, of those that label steps."""
        given = self.model_dump(exclude={"task"})
        some = (_made(one.recipe, given) for one in sections())
        return any(one.aligned for one in some if one is not None and one.labels_steps)

    @model_serializer(mode="wrap")
    def _as_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was given only: defaults are a task's own."""
        return {key: value for key, value in handler(self).items() if key in {"task", *self.model_fields_set}}


def model_section(given: object) -> object:
    """The section that a mapping describes: of its task, or open. Raises `ValidationError` or `SectionError`."""
    if not isinstance(given, Mapping):
        return given
    task = given.get("task", "auto")
    if task == "auto":
        return _open({key: value for key, value in given.items() if key != "task"})
    if task not in entries():
        *names, last = map(repr, ("auto", *entries()))
        context = {"expected": f"{', '.join(names)} or {last}"}
        raise SectionError([{"type": "literal_error", "loc": ("task",), "input": task, "ctx": context}])
    return section(task).recipe.model_validate(dict(given))


def for_task(model: ModelRecipe, task: str) -> dict[str, Any]:
    """The mapping of a section for a task."""
    return {**model.model_dump(), "task": task}


def _open(given: Mapping[str, Any]) -> AutoModel:
    """Every option must be fine to a task that has it."""
    fine: dict[str, Any] = {}
    wrong: list[Item] = []
    known = set[str]()
    for recipe in (one.recipe for one in sections()):
        known |= set(recipe.model_fields)
        own = {key: value for key, value in given.items() if key in recipe.model_fields}
        try:
            fine = recipe.model_validate(own).model_dump(exclude_unset=True) | fine
        except ValidationError as error:
            items: list[Item] = list(error.errors())
            wrong += items
            places = {item["loc"][0] if item["loc"] else "" for item in items}
            if "" not in places:
                rest = {key: value for key, value in own.items() if key not in places}
                fine = _checked(recipe, rest) | fine
    left = {key for key in given if key in known and key not in fine}
    named = {item["loc"][0] for item in wrong if item["loc"]}
    told = [item for item in wrong if (item["loc"][0] in left if item["loc"] else left - named)]
    told += [{"type": "extra_forbidden", "loc": (key,), "input": given[key]} for key in given if key not in known]
    if told:
        raise SectionError(list({(item["loc"], str(item.get("msg"))): item for item in told}.values()))
    return AutoModel.model_validate(fine)


def _made(recipe: type[ModelRecipe], given: Mapping[str, Any]) -> ModelRecipe | None:
    """The section of a task with those of the options that it has; None where they are wrong there."""
    try:
        return recipe.model_validate({key: value for key, value in given.items() if key in recipe.model_fields})
    except ValidationError:
        return None


def _checked(recipe: type[ModelRecipe], given: Mapping[str, Any]) -> dict[str, Any]:
    """The options, if they are fine together; else none of them."""
    try:
        return recipe.model_validate(given).model_dump(exclude_unset=True)
    except ValidationError:
        return {}
