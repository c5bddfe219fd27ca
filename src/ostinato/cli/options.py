"""Every option of a recipe as a table: meaning, default, and what it depends on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ostinato import cells
from ostinato.data.inference.applicability import conditions_of
from ostinato.data.readers.registry import READERS
from ostinato.recipe import Component, Recipe
from ostinato.recipe.base import components
from ostinato.recipe.features import components_from_outside
from ostinato.recipe.sections import entries, sections

Row = tuple[str, str, str, str]
HEAD = ("option", "default", "meaning", "needs")


def table_of_options() -> list[Row]:
    """A row an option, as `HEAD` says; a column's options once for each kind of column."""
    return list(_rows(Recipe, "", ""))


def as_markdown(rows: list[Row]) -> str:
    """The table, ready for a page."""
    lines = [f"| {' | '.join(HEAD)} |", f"|{'---|' * len(HEAD)}"]
    return "\n".join([*lines, *(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows)]) + "\n"


def description(name: str, field: FieldInfo) -> str:
    """What an option means; of one that a registry fills, also the names there are."""
    registered = {"cell": cells.names(), "format": list(READERS)}.get(name)
    text = field.description or ""
    return text if registered is None else f"{text}: {', '.join(registered)}"


def _rows(component: type[BaseModel], path: str, of_kind: str) -> Iterator[Row]:
    for name, field in component.model_fields.items():
        here = f"{path}{name}"
        inner = [*components(field.annotation), *components_from_outside(here)]
        if here == "model":
            yield from _of_tasks()
        elif here == "features.extra":
            yield f"`{here}`", "{}", field.description or "", _needs(component, here)
        elif inner:
            for one in inner:
                kind = one.model_fields["kind"].default if len(inner) > 1 else ""
                yield from _rows(one, f"{here}.", f" ({kind})" if kind else of_kind)
        elif name != "kind":
            yield f"`{here}`{of_kind}", f"`{_default(field)}`", description(name, field), _needs(component, here)


def _of_tasks() -> Iterator[Row]:
    """The options of `model`, each once, with the tasks that have it where not all do."""
    yield "`model.task`", "`auto`", f"{', '.join(entries())}; auto: by the data", ""
    found: dict[Row, list[str]] = {}
    for one in sections():
        for row in _rows(one.recipe, "model.", ""):
            found.setdefault(row, []).append(one.name)
    for (name, default, meaning, needs), tasks in found.items():
        if name != "`model.task`":
            of_tasks = "" if len(tasks) == len(entries()) else f" ({', '.join(tasks)})"
            yield f"{name}{of_tasks}", default, meaning, needs


def _default(field: Any) -> object:
    value = field.get_default(call_default_factory=True)
    return list(value) if isinstance(value, tuple) else value


def _needs(component: type[BaseModel], path: str) -> str:
    group, _, name = path.rpartition(".")
    own = component.needs.get(name) if issubclass(component, Component) else None
    needs = [*([own[0]] if own else []), *(condition.needs for condition in conditions_of(path))]
    able = [cell for cell in cells.names() if name not in cells.get(cell).undefined_options()]
    if group == "model" and len(able) < len(cells.names()):
        needs.append(f"one of the cells {', '.join(able)}")
    return "; ".join(needs)
