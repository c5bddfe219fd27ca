"""`ostinato recipe show | schema | options | init`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ostinato.cli.console import note, print_json, print_text
from ostinato.cli.tables import print_table, table
from ostinato.errors import RecipeError
from ostinato.storage.files import unused
from ostinato.wording import command, option

if TYPE_CHECKING:
    from pydantic import BaseModel as Component

    from ostinato.recipe import Recipe

app = typer.Typer(help="Show, describe and start recipes.", no_args_is_help=True)


@app.command()
def show(
    recipe: Annotated[str | None, typer.Argument(help="A ready recipe's name, a file, or a run directory.")] = None,
) -> None:
    """Print a recipe with every default; by default list them all."""
    from ostinato.recipe import (
        build_recipe,
        build_saved,
        dump_recipe,
        load_recipe,
        migrated,
        read_recipe,
        ready_recipes,
    )

    if recipe is None:
        ready = table("recipe", "trains")
        for name in ready_recipes():
            loaded = load_recipe(name)
            ready.add_row(name, f"{loaded.model.task.replace('_', ' ')}, {loaded.model.cell} on {loaded.data.train}")
        print_table(ready)
        return
    path = Path(recipe)
    mapping = migrated(read_recipe(path / "recipe.yaml")) if path.is_dir() else read_recipe(recipe)
    print_text(dump_recipe(build_saved(mapping)[0] if path.is_dir() else build_recipe(mapping)), end="")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes."""
    from ostinato.recipe import recipe_schema

    print_json(recipe_schema())


@app.command()
def options() -> None:
    """Print every option as a Markdown table.

    With its default, its meaning, and what it depends on.
    """
    from ostinato.cli.options import as_markdown, table_of_options

    print_text(as_markdown(table_of_options()), end="")


@app.command()
def init(
    data: Annotated[str | None, typer.Argument(help="The data to train on.")] = None,
    input: Annotated[str | None, typer.Option(help="The column that holds the sequence.")] = None,
    target: Annotated[str | None, typer.Option(help="The column to predict.")] = None,
    out: Annotated[Path | None, typer.Option(help="The file to write; by default stdout.")] = None,
) -> None:
    """Start a recipe for this data.

    Holds every key that applies, with its default and meaning.
    """
    from ostinato.recipe import build_recipe, named_after_data, read_recipe

    given = {"train": data, "input": input, "target": target}
    mapping = named_after_data({"data": {key: value for key, value in given.items() if value is not None}})
    from ostinato.tasks.prepare import inferred

    recipe = inferred(build_recipe(mapping))
    text = _commented(recipe, recipe)
    if out is None:
        print_text(text, end="")
        return
    if out.exists():
        raise RecipeError(f"`{out}` already exists.", hint=option("--out", unused(out)))
    out.write_text(text, encoding="utf-8")
    build_recipe(read_recipe(out))
    note(f"wrote {out}; train with: {command('train', '--recipe', out)}")


def _commented(component: Component, recipe: Recipe, path: str = "") -> str:
    """YAML of a recipe component, each key that applies followed by its description."""
    from pydantic import BaseModel

    from ostinato.cli.options import description
    from ostinato.data.inference.applicability import applies

    lines: list[str] = []
    indent = "  " * path.count(".")
    for name, field in type(component).model_fields.items():
        value = getattr(component, name)
        if not applies(f"{path}{name}", recipe):
            continue
        if isinstance(value, BaseModel):
            inner = _commented(value, recipe, f"{path}{name}.")
            lines.append(f"{indent}{name}:\n{inner}".rstrip("\n") if inner.strip() else f"{indent}{name}: {{}}")
            continue
        if isinstance(value, dict):
            lines.append(f"{indent}{name}: {json.dumps({k: v.model_dump(mode='json') for k, v in value.items()})}")
            continue
        comment = f"  # {text}" if (text := description(name, field)) else ""
        lines.append(f"{indent}{name}: {_scalar(value)}{comment}")
    return "\n".join(lines) + "\n"


def _scalar(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return "[" + ", ".join(_scalar(item) for item in value) + "]"
    return repr(value) if isinstance(value, str) and (not value.strip() or not value.isidentifier()) else str(value)
