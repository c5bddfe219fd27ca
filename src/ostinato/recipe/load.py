"""Read, override, validate and write recipes; every mistake is named by its path in the recipe."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from ostinato.errors import DataError, RecipeError
from ostinato.recipe.migrate import renamed, with_old_split
from ostinato.recipe.mistakes import recipe_error, unread_keys
from ostinato.recipe.models import Recipe
from ostinato.recipe.paths import holds_texts
from ostinato.recipe.yaml_text import dump_yaml, parse_yaml
from ostinato.wording import meant

logger = logging.getLogger("ostinato")

Settings = Mapping[str, Any] | Iterable[str]
"""Recipe keys to set: by name, or as the command line's `key=value`."""


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
        near, known = meant(str(source), ready), ", ".join(ready) or "none"
        asked = f"did you mean {near[1]}? " if near else ""
        raise RecipeError(f"no recipe file `{source}`.", hint=f"{asked}Ready recipes: {known}.", instead=near)
    try:
        loaded = parse_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise RecipeError(f"`{path}` is not a YAML file: {' '.join(str(error).split())}") from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise RecipeError(f"`{path}` must hold a mapping of keys to values. Received: {type(loaded).__name__}.")
    return with_old_split(loaded)


def apply_overrides(mapping: Mapping[str, Any], overrides: Settings) -> dict[str, Any]:
    """`mapping` with each key set; in texts, `a.b=value`, values are YAML, so `3`, `true`, `null` and `[a, b]` work."""
    result: dict[str, Any] = copy.deepcopy(dict(mapping))
    for name, given in overrides.items() if isinstance(overrides, Mapping) else _pairs(overrides):
        key, value = renamed(name, given)
        if key != name:
            logger.warning("`%s` is `%s` now", name, key)
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
                f"`--set` needs key=value. Received: {override!r}.", instead=(override, "training.epochs=3")
            )
        yield key.strip(), _value(renamed(key.strip(), None)[0], text)


def _value(key: str, text: str) -> Any:
    """What was typed for a key: YAML; of one that is a text, or a list of texts, as it was typed (`No`, `1`, `#`)."""
    try:
        loaded = text if text.startswith("%") else parse_yaml(text)
    except yaml.YAMLError as error:
        if holds_texts(key, list_of=False):
            return text.strip()
        raise RecipeError(f"`--set {key}` has a value that can't be read. Received: {text!r}.") from error
    if isinstance(loaded, list) and holds_texts(key, list_of=True):
        typed = yaml.load(text, yaml.BaseLoader)
        return [typed[i] if not isinstance(one, str | None) else one for i, one in enumerate(loaded)]
    typed = text.strip()
    if loaded == typed or typed[:1] in ("", "'", '"') or typed in ("~", "null"):
        return loaded
    return typed if holds_texts(key, list_of=False) else loaded


def build_recipe(mapping: Mapping[str, Any]) -> Recipe:
    """A validated `Recipe`. Raises `RecipeError` naming the first mistakes by their path."""
    try:
        return Recipe.model_validate(mapping)
    except ValidationError as error:
        raise recipe_error(error, mapping) from error


def build_saved(mapping: Mapping[str, Any]) -> tuple[Recipe, dict[str, Any]]:
    """As `build_recipe`, of a recipe that could be used when it was saved: keys that nothing would read are left out.

    Returns the recipe, and what was left out by its path.
    """
    kept, unread = copy.deepcopy(dict(mapping)), dict[str, Any]()
    while found := unread_keys(kept):
        for path, usual in found.items():
            value = remove(kept, path)
            if isinstance(value, dict) and isinstance(usual, dict):
                unread |= {f"{path}.{key}": one for key, one in value.items() if one != usual.get(key)}
            elif value != usual:
                unread[path] = value
    return build_recipe(kept), unread


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
        raise RecipeError(f"can't name a run after {reference!r}.", hint="a name: --set name=run")
    return name


def described(
    data: str | Path | None = None,
    *,
    input: str | None = None,
    target: str | None = None,
    extra: Iterable[str] = (),
    recipe: Recipe | str | Path | None = None,
    settings: Settings = (),
) -> Recipe:
    """What is to be trained: a recipe, its file or the name of a ready one; on a file; with further settings.

    Raises:
        RecipeError: for anything that describes no run.
        DataError: for data that are no file.
    """
    if not isinstance(data, str | Path | None):
        raise DataError(
            f"`data` must be a file, a folder or a name of the catalogue. Received: {type(data).__name__}.",
            hint="ostinato.train(table) trains on a table in memory",
        )
    mapping = recipe.said if isinstance(recipe, Recipe) else read_recipe(recipe) if recipe else {}
    given = {
        "data.train": data and str(data),
        "data.input": input,
        "data.target": target,
        "data.extra": list(extra) or None,
    }
    mapping = apply_overrides(mapping, {key: value for key, value in given.items() if value is not None})
    return build_recipe(named_after_data(apply_overrides(mapping, settings)))


def load_recipe(source: str | Path, overrides: Settings = ()) -> Recipe:
    """The recipe in a file (or a ready one by name) with `--set` overrides applied."""
    return build_recipe(apply_overrides(read_recipe(source), overrides))


def dump_recipe(recipe: Recipe) -> str:
    """YAML that `build_recipe` reads back to an equal recipe."""
    return dump_yaml(recipe.model_dump(mode="json"))
