"""Read, override, validate and write recipes; every mistake is named by its path in the recipe."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError

from ostinato.errors import RecipeError
from ostinato.recipe.base import UNREAD
from ostinato.recipe.models import Recipe

Settings = Mapping[str, Any] | Iterable[str]
"""Recipe keys to set: by name, or as the command line's `key=value`."""

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
    "too_short": "a list of at least one item",
    "string_too_short": "a text of at least one character",
    "finite_number": "a finite number",
}


def ready_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    package = Path(__file__).resolve().parent
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
        loaded = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"`{path}` is not a YAML file: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise RecipeError(f"`{path}` must hold a mapping of keys to values. Received: {type(loaded).__name__}.")
    return loaded


def apply_overrides(mapping: Mapping[str, Any], overrides: Settings) -> dict[str, Any]:
    """`mapping` with each key set; in texts, `a.b=value`, values are YAML, so `3`, `true`, `null` and `[a, b]` work."""
    result: dict[str, Any] = copy.deepcopy(dict(mapping))
    for key, value in overrides.items() if isinstance(overrides, Mapping) else _pairs(overrides):
        node = result
        *parents, last = key.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise RecipeError(f"`{key}` can't be set: `{parent}` is a value, not a group of keys.")
        node[last] = value
    return result


def _pairs(overrides: Iterable[str]) -> Iterator[tuple[str, Any]]:
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise RecipeError(
                f"`--set` needs key=value. Received: {override!r}.", hint="for example --set training.epochs=3"
            )
        try:
            yield key.strip(), yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise RecipeError(f"`--set {key}` has a value that can't be read. Received: {text!r}.") from error


def build_recipe(mapping: Mapping[str, Any]) -> Recipe:
    """A validated `Recipe`. Raises `RecipeError` naming the first mistakes by their path."""
    try:
        return Recipe.model_validate(mapping)
    except ValidationError as error:
        items: dict[str, list[dict[str, Any]]] = {}
        for item in error.errors():
            at = _kind_at(item["loc"])
            found = dict(item) | {"of_kind": None if at is None else item["loc"][at]}
            place = _place(item["loc"], members=item["type"] == "extra_forbidden")
            items.setdefault(".".join(place), []).append(found)
        problems = [_explain(path, found) for path, found in items.items()]
        hints = dict.fromkeys(hint for _, hint in problems if hint)
        raise RecipeError("\n".join(text for text, _ in problems), hint="; ".join(hints) or None) from error


def build_saved(mapping: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """As `build_recipe`, of a recipe that could be used when it was saved: keys that nothing would read are left out.

    Returns the recipe, and what was left out by its path.
    """
    kept, unread = copy.deepcopy(dict(mapping)), dict[str, Any]()
    while found := _unread_keys(kept):
        unread |= {path: remove(kept, path) for path in found}
    return build_recipe(kept), unread


def _unread_keys(mapping: Mapping[str, Any]) -> list[str]:
    try:
        Recipe.model_validate(mapping)
    except ValidationError as error:
        items = [item for item in error.errors() if item["type"] == UNREAD]
        return [".".join([*_place(item["loc"]), item["ctx"]["key"]]) for item in items]
    return []


def remove(mapping: dict[str, Any], path: str) -> Any:
    """Take the key at a path out of nested mappings; returns what it held, None where there is no such key."""
    *parents, last = path.split(".")
    node: Any = mapping
    for parent in parents:
        node = node.get(parent, {}) if isinstance(node, dict) else {}
    return node.pop(last, None) if isinstance(node, dict) else None


def named_after_data(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """`mapping` with the name of its data as `name`, where it has none.

    Example:
        >>> named_after_data({"data": {"train": "texts/reviews.csv.xz"}})["name"]
        'reviews'
    """
    data = mapping.get("data")
    reference = data.get("train") if isinstance(data, Mapping) else None
    return dict(mapping) if "name" in mapping or not reference else {**mapping, "name": name_of(str(reference))}


def name_of(reference: str) -> str:
    """The name of a run on some data: `reviews` for `data/reviews.csv.xz`, `imdb` for `imdb:train`."""
    name = Path(reference.split(":")[0]).name.split(".")[0]
    if not name:
        raise RecipeError(f"can't name a run after {reference!r}.", hint="set `name` in the recipe, or --out DIR")
    return name


def load_recipe(source: str | Path, overrides: Settings = ()) -> Recipe:
    """The recipe in a file (or a ready one by name) with `--set` overrides applied."""
    return build_recipe(apply_overrides(read_recipe(source), overrides))


def dump_recipe(recipe: Recipe) -> str:
    """YAML that `build_recipe` reads back to an equal recipe."""
    return yaml.dump(recipe.model_dump(mode="json"), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """YAML that escapes the line breaks of Unicode, which a reader would take for a space."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = '"' if set(text) & set("\x85\u2028\u2029") else None
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _Dumper.represent_text)


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is written twice is an error; plain YAML takes the last one and says nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} is there twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _place(location: tuple[int | str, ...], *, members: bool = False) -> list[str]:
    """Pydantic's path of a mistake as keys of a recipe; with `members` also its words for possible types."""
    at = _kind_at(location)
    keys = [part for number, part in enumerate(location) if number != at and isinstance(part, str)]
    return [part for part in keys if members or not _member(part)]


def _member(part: int | str) -> bool:
    """Whether a part of pydantic's path is no key but its word for one of several possible types."""
    return part in ("float", "str") or str(part).startswith(("constrained-", "function-"))


def _explain(path: str, items: list[dict[str, Any]]) -> tuple[str, str | None]:
    """The mistake at one place, and a hint. Where several types are possible there is an item for each."""
    location, kind, received = path.split("."), items[0]["type"], items[0]["input"]
    if kind == "extra_forbidden":
        keys = list(_model_at(location[:-1], items[0]["of_kind"]).model_fields)
        near = difflib.get_close_matches(location[-1], keys, n=1)
        owners = _kinds_with(location)
        hint = f"did you mean {near[0]}?" if near else f"keys: {', '.join(keys)}"
        if owners:
            at = ".".join([*location[:-1], "kind"])
            hint = f"it is a key of kind {' or '.join(owners)}: --set {at}={owners[0]} beside it"
        return f"unknown key `{path}` in the recipe.", hint
    if kind == "union_tag_invalid":
        context = items[0]["ctx"]
        return f"`{path}.kind` must be one of {context['expected_tags']}. Received: {context['tag']!r}.", None
    if kind == "invalid_key":
        return f"a key of a recipe must be a text. Received: {received!r}.", None
    if kind in ("value_error", UNREAD):
        text = str(items[0]["ctx"]["error"])
        own = re.sub(r"^`(\w+)`", rf"`{path}.\1`", text)  # a component knows its keys, not where it stands
        return (own if own.startswith("`") else f"`{path}` {text}"), None
    members = [item for item in items if _member(item["loc"][-1])] or items[:1]
    expected = " or ".join(dict.fromkeys(_expected(item) for item in members))
    return f"`{path}` must be {expected}. Received: {received!r}.", None


def _expected(item: dict[str, Any]) -> str:
    kind, received, context = item["type"], item["input"], item.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"a text that matches {context['pattern']}"
    if kind == "too_long":
        return f"a list of at most {context['max_length']} items"
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        bound = next(iter(context.values()))
        if kind == "greater_than" and bound == 0:
            return "a positive integer" if isinstance(received, int) else "a positive number"
        return f"{kind.replace('_', ' ')} {bound}".replace("than equal", "than or equal to")
    return str(item["msg"][0].lower() + item["msg"][1:])


def _kind_at(place: tuple[int | str, ...]) -> int | None:
    """Where in a path pydantic names the kind that a feature turned out to be: `features.input.text.unit`."""
    at = 3 if place[1:2] == ("extra",) else 2
    return at if place[:1] == ("features",) and len(place) > at else None


def _model_at(location: list[str], kind: str | None) -> type[BaseModel]:
    """The component at a path; `kind` says which where there are several."""
    model: type[BaseModel] = Recipe
    for part in location:
        found = components(model.model_fields[part].annotation) if part in model.model_fields else []
        if len(found) > 1:
            named = [one for one in found if kind in get_args(one.model_fields["kind"].annotation)]
            found = named or found
        model = found[0] if found else model
    return model


def _kinds_with(location: list[str]) -> list[str]:
    """The kinds of feature that have the key at the end of a path, where there are several kinds."""
    parent = _model_at(location[:-2], None)
    name = location[-2] if len(location) > 1 else ""
    found = components(parent.model_fields[name].annotation) if name in parent.model_fields else []
    owners = [one for one in found if location[-1] in one.model_fields] if len(found) > 1 else []
    return [get_args(one.model_fields["kind"].annotation)[0] for one in owners]


def components(annotation: Any) -> list[type[BaseModel]]:
    """The components that a field may hold, however they are wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in components(part)]
