"""Read, override, validate and write recipes; every mistake is named by its path in the recipe."""

from __future__ import annotations

import difflib
import json
import types
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ostinato.errors import RecipeError
from ostinato.recipe.models import Recipe

_EXPECTED = {
    "int_parsing": "an integer",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "tuple_type": "a list",
}


def ready_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    package = Path(str(resources.files("ostinato.recipe")))
    for folder in (package / "ready", package.parents[2] / "recipes"):
        if folder.is_dir():
            return {path.stem: path for path in sorted(folder.glob("*.yaml"))}
    return {}


def read_recipe(source: str | Path) -> dict[str, Any]:
    """The mapping in a recipe file, or in the ready recipe of that name. Raises `RecipeError` if there is none."""
    path = Path(source)
    ready = ready_recipes()
    if not path.is_file():
        path = ready.get(str(source), path)
    if not path.is_file():
        near = difflib.get_close_matches(str(source), ready, n=1)
        raise RecipeError(
            f"no recipe file `{source}`.",
            hint=(f"did you mean {near[0]}? " if near else "") + f"Ready recipes: {', '.join(ready) or 'none'}.",
        )
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"`{path}` is not a YAML file: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise RecipeError(f"`{path}` must hold a mapping of keys to values. Received: {type(loaded).__name__}.")
    return loaded


def apply_overrides(mapping: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """`mapping` with each `a.b=value` set; values are read as YAML, so `3`, `true`, `null` and `[last, max]` work."""
    result: dict[str, Any] = json.loads(json.dumps(mapping))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise RecipeError(
                f"`--set` needs key=value. Received: {override!r}.", hint="for example --set training.epochs=3"
            )
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"`--set {key}` has a value that can't be read. Received: {text!r}.") from error
        node = result
        *parents, last = key.strip().split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise RecipeError(f"`{key}` can't be set: `{parent}` is a value, not a group of keys.")
        node[last] = value
    return result


def build_recipe(mapping: Mapping[str, Any]) -> Recipe:
    """A validated `Recipe`. Raises `RecipeError` naming the first mistakes by their path."""
    try:
        return Recipe.model_validate(mapping)
    except ValidationError as error:
        problems: dict[str, tuple[str, str | None]] = {}
        for item in error.errors():
            path = ".".join(_location(dict(item)))
            problems.setdefault(path, _explain(path, dict(item)))  # one message a place, the first
        hints = [hint for _, hint in problems.values() if hint]
        raise RecipeError("\n".join(text for text, _ in problems.values()), hint="; ".join(hints) or None) from error


def load_recipe(source: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in a file (or a ready one by name) with `--set` overrides applied."""
    return build_recipe(apply_overrides(read_recipe(source), overrides))


def dump_recipe(recipe: Recipe) -> str:
    """YAML that `build_recipe` reads back to an equal recipe."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)


def _location(item: dict[str, Any]) -> list[str]:
    """The keys down to the mistake, without pydantic's own words for the members of a union."""
    return [
        part for part in item["loc"] if isinstance(part, str) and not part.startswith(("constrained-", "float", "str"))
    ]


def _explain(path: str, item: dict[str, Any]) -> tuple[str, str | None]:
    location = path.split(".")
    kind, received = item["type"], item["input"]
    if kind == "extra_forbidden":
        keys = list(_model_at(location[:-1]).model_fields)
        near = difflib.get_close_matches(location[-1], keys, n=1)
        return (
            f"unknown key `{path}` in the recipe.",
            f"did you mean {near[0]}?" if near else f"keys: {', '.join(keys)}",
        )
    if kind == "value_error":
        text = str(item["ctx"]["error"])
        return (text if text.startswith("`") else f"`{path}`: {text}"), None
    expected = _EXPECTED.get(kind)
    context = item.get("ctx", {})
    if kind == "literal_error":
        expected = f"one of {context['expected']}"
    elif kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        bound = next(iter(context.values()))
        expected = f"{kind.replace('_', ' ')} {bound}"
        if kind == "greater_than" and bound == 0:
            expected = "a positive integer" if isinstance(received, int) else "a positive number"
    if expected is None:
        expected = item["msg"][0].lower() + item["msg"][1:]
    return f"`{path}` must be {expected}. Received: {received!r}.", None


def _model_at(location: list[str]) -> type[BaseModel]:
    model: type[BaseModel] = Recipe
    for part in location:
        annotation = model.model_fields[part].annotation
        candidates = (annotation, *get_args(annotation)) if isinstance(annotation, types.UnionType) else (annotation,)
        model = next(c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel))
    return model
