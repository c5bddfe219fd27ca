"""What is wrong with a recipe, named by its path, with a hint where a fix is known."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args

from pydantic import TypeAdapter, ValidationError

from ostinato.errors import RecipeError
from ostinato.recipe.base import UNREAD, SectionError
from ostinato.recipe.features import kinds_from_outside
from ostinato.recipe.migrate import TASKS, new_names
from ostinato.recipe.models import Recipe
from ostinato.recipe.paths import kind_field, models_at, option_paths
from ostinato.recipe.sections import Section, entries, section, sections
from ostinato.wording import meant, with_article

_MOST_NAMED, _MUCH_ALIKE = 3, 0.75
_EXPECTED = {
    "int_parsing": "an integer",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_parsing": "a number",
    "float_type": "a number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a string",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "tuple_type": "a list",
    "too_short": "a list of at least one item",
    "string_too_short": "a string of at least one character",
    "finite_number": "a finite number",
}


def recipe_error(error: ValidationError, mapping: Mapping[str, Any]) -> RecipeError:
    """The first mistakes in a recipe by their paths."""
    items: dict[str, list[dict[str, Any]]] = {}
    for item in _mistakes(error):
        at = _kind_at(item["loc"])
        found = dict(item) | {"of_kind": None if at is None else item["loc"][at]}
        place = _place(item["loc"], members=item["type"] == "extra_forbidden")
        items.setdefault(".".join(place), []).append(found)
    task = _task_of(mapping)
    problems = [_explain(path, found, task) for path, found in items.items()]
    hints = dict.fromkeys(one.hint for one in problems if one.hint)
    instead = next((one.instead for one in problems if one.instead), None)
    return RecipeError("\n".join(one.text for one in problems), hint="; ".join(hints) or None, instead=instead)


def unread_keys(mapping: Mapping[str, Any]) -> dict[str, Any]:
    """Options that nothing would read, by path, and what they are when nothing is said."""
    try:
        Recipe.model_validate(mapping)
    except ValidationError as error:
        found = dict[str, Any]()
        task = _task_of(mapping)
        for item in _mistakes(error):
            place = [part for part in item["loc"] if isinstance(part, str)]
            if item["type"] == UNREAD:
                found[".".join([*_place(item["loc"]), item["ctx"]["key"]])] = None
            elif item["type"] == "extra_forbidden" and (owners := _owners(place, task)):
                found[".".join(place)] = _usual(place, owners)
        return found
    return {}


def _usual(place: list[str], owners: list[Section]) -> Any:
    """An option of other tasks as it is when nothing is said; of a group all its options that any of them has."""
    fields = [models_at(place[:-1], None, one.name)[0].model_fields[place[-1]] for one in owners]
    found = [TypeAdapter(Any).dump_python(one.get_default(call_default_factory=True), mode="json") for one in fields]
    return {key: value for one in found for key, value in one.items()} if isinstance(found[0], dict) else found[0]


def _mistakes(error: ValidationError) -> Iterator[Mapping[str, Any]]:
    """All of them, those within the section of a task among them."""
    for item in error.errors():
        inner = item.get("ctx", {}).get("error")
        if isinstance(inner, ValidationError | SectionError):
            yield from ({**one, "loc": (*item["loc"], *one["loc"])} for one in inner.errors())
        else:
            yield dict(item)


def _task_of(mapping: Mapping[str, Any]) -> str:
    model = mapping.get("model")
    return str(model.get("task", "auto")) if isinstance(model, Mapping) else "auto"


def _place(location: tuple[int | str, ...], *, members: bool = False) -> list[str]:
    """Pydantic's path of a mistake as keys of a recipe; with `members` also its words for possible types."""
    at = _kind_at(location)
    keys = [part for number, part in enumerate(location) if number != at and isinstance(part, str)]
    return [part for part in keys if members or not _member(part)]


def _member(part: int | str) -> bool:
    """Whether a part of pydantic's path is no key but its word for one of several possible types."""
    return part in ("float", "str") or str(part).startswith(("constrained-", "function-"))


class _Mistake(NamedTuple):
    """What is wrong, a hint, and what was written beside what was probably meant."""

    text: str
    hint: str | None = None
    instead: tuple[str, str] | None = None


def _explain(path: str, items: list[dict[str, Any]], task: str) -> _Mistake:
    """The mistake at one place. Where several types are possible there is an item for each."""
    location, kind, received = path.split("."), items[0]["type"], items[0]["input"]
    if kind == "extra_forbidden":
        if renamed := new_names(path, received):
            return _Mistake(f"unknown key `{path}` in the recipe.", f"it is {', '.join(renamed)} now")
        if owners := _owners(location, task):
            while isinstance(received, Mapping) and received:  # of a group the first option
                key, received = next(iter(received.items()))
                path = f"{path}.{key}"
            return _Mistake(*does_not_apply(path, repr(received), section(task).noun, owners))
        keys = [key for one in models_at(location[:-1], items[0]["of_kind"], task) for key in one.model_fields]
        near = difflib.get_close_matches(location[-1], keys, n=1)
        sure = near and difflib.SequenceMatcher(None, near[0], location[-1]).ratio() >= _MUCH_ALIKE
        elsewhere = [] if sure else _elsewhere(path, task)
        found = elsewhere or [".".join([*location[:-1], one]) for one in near]
        named = " or ".join(elsewhere or near)
        hint = f"did you mean {named}?" if named else f"keys: {', '.join(dict.fromkeys(keys))}"
        text = f"unknown key `{path}` in the recipe."
        if kinds := _kinds_with(location, task):
            at = ".".join([*location[:-1], "kind"])
            return _Mistake(text, f"it is a key of kind {' or '.join(kinds)}: --set {at}={kinds[0]}")
        return _Mistake(text, hint, (path, found[0]) if found else None)
    if kind == "union_tag_invalid":
        context = items[0]["ctx"]
        known = ", ".join([context["expected_tags"], *map(repr, kinds_from_outside(".".join(location[:2])))])
        text = f"`{path}.kind` must be one of {known}. Received: {context['tag']!r}."
        return _Mistake(text, *_near_value(f"{path}.kind", context["tag"], re.findall(r"'([^']*)'", known)))
    if kind == "invalid_key":
        return _Mistake(f"a key of a recipe must be a string. Received: {received!r}.")
    if kind in ("value_error", UNREAD):
        text = str(items[0]["ctx"]["error"])
        own = re.sub(r"^`(\w+)`", rf"`{path}.\1`", text)  # a component knows its keys, not where it is
        return _Mistake(own if own.startswith("`") else f"`{path}` {text}")
    members = [item for item in items if _member(item["loc"][-1])] or [
        item for item in items if item["loc"] == items[0]["loc"]
    ]
    expected = " or ".join(dict.fromkeys(_expected(item) for item in members))
    text = f"`{path}` must be {expected}. Received: {received!r}."
    if path == "model.task" and (newer := TASKS.get(str(received))):
        return _Mistake(text, f"it is `model.task: {newer}` now", (f"{path}={received}", f"{path}={newer}"))
    return _Mistake(text, *_near_value(path, received, re.findall(r"'([^']*)'", expected)))


def _near_value(path: str, received: object, known: list[str]) -> tuple[str | None, tuple[str, str] | None]:
    """A hint for a value that is much like one of those there are."""
    if not isinstance(received, str) or (near := meant(received, known)) is None:
        return None, None
    return f"did you mean {near[1]}?", (f"{path}={received}", f"{path}={near[1]}")


_OTHER_NAMES = {
    "early_stopping": "training.patience",
    "early_stop": "training.patience",
    "lr": "training.learning_rate",
    "num_epochs": "training.epochs",
    "max_epochs": "training.epochs",
    "batch": "training.batch_size",
    "grad_clip": "training.max_norm",
    "gradient_clip": "training.max_norm",
    "dropout": "model.hidden_dropout",
    "units": "model.hidden_size",
    "layers": "model.num_layers",
    "rnn": "model.cell",
    "cell_type": "model.cell",
    "tokenizer": "features.input.unit",
    "lowercase": "features.input.case",
    "test_size": "data.validation",
    "val_split": "data.validation",
    "validation_split": "data.validation",
    "class_weights": "training.class_weight",
}
"""What other tools call an option."""


def _elsewhere(path: str, task: str) -> list[str]:
    """Where in a recipe an unknown key might belong: by another tool's name of it, its own, or one much like it."""
    name = path.rpartition(".")[2]
    options = option_paths(task)
    if name in _OTHER_NAMES:
        return [_OTHER_NAMES[name]]
    names: dict[str, list[str]] = {}
    for option in options:
        names.setdefault(option.rpartition(".")[2], []).append(option)
    near = [name] if name in names else difflib.get_close_matches(name, names, n=1, cutoff=_MUCH_ALIKE)
    return sorted(names[near[0]], key=len)[:_MOST_NAMED] if near else []


def _expected(item: dict[str, Any]) -> str:
    kind, received, context = item["type"], item["input"], item.get("ctx", {})
    if kind in _EXPECTED:
        return _EXPECTED[kind]
    if kind == "literal_error":
        return f"one of {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"a string that matches {context['pattern']}"
    if kind == "too_long":
        return f"a list of at most {context['max_length']} items"
    if kind in {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}:
        bound = next(iter(context.values()))
        if kind == "greater_than" and bound == 0:
            return "a positive integer" if isinstance(received, int) and isinstance(bound, int) else "a positive number"
        return f"{kind.replace('_', ' ')} {bound}".replace("than equal", "than or equal to")
    return str(item["msg"][0].lower() + item["msg"][1:])


def does_not_apply(path: str, value: str, noun: str, owners: list[Section]) -> tuple[str, str]:
    """What to say of an option that only other tasks have, and a hint."""
    return (
        f"`{path}` does not apply to {with_article(noun)}. Received: {value}.",
        f"only a {' or '.join(one.noun for one in owners)} uses it: --set model.task={owners[0].name}",
    )


def _owners(location: list[str], task: str) -> list[Section]:
    """The tasks other than `task` that have the option at a path."""
    if location[0] != "model" or task not in entries():
        return []
    rest = [one for one in sections() if one.name != task]
    return [one for one in rest if location[-1] in models_at(location[:-1], None, one.name)[0].model_fields]


def _kinds_with(location: list[str], task: str) -> list[str]:
    """The kinds of feature that have the key at the end of a path, where there are several kinds."""
    found = models_at(location[:-1], None, task)
    owners = [one for one in found if location[-1] in one.model_fields and "kind" in one.model_fields]
    return [get_args(kind_field(one))[0] for one in owners] if len(found) > 1 else []


def _kind_at(place: tuple[int | str, ...]) -> int | None:
    """Where in a path pydantic names the kind that a feature turned out to be: `features.input.text.unit`."""
    at = 3 if place[1:2] == ("extra",) else 2
    return at if place[:1] == ("features",) and len(place) > at else None
