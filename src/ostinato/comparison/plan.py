"""The variants of a comparison: cells and values of recipe keys, each at a size that makes the comparison fair."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from torch import nn

from ostinato import cells as registry
from ostinato.errors import RecipeError
from ostinato.layers.other_cell import no_place_for
from ostinato.nn import Embedding
from ostinato.recipe import ModelRecipe, Recipe, apply_overrides, build_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.training.progress import Observer

Match: TypeAlias = Literal["parameters", "time", "none"]
Vary: TypeAlias = Mapping[str, Sequence[Any]]
ALIASES = {"rnn": "elman"}
"""Other names of cells."""

_LARGEST = 1 << 14


@dataclass(frozen=True)
class Variant:
    """One model of a comparison.

    name: its cell and the values that were varied; recipe: of all its seeds; num_parameters: that are learnt;
    flops_per_step: multiplications and additions of one forward step, two per weight.
    """

    name: str
    recipe: Recipe
    num_parameters: int
    flops_per_step: int


def plan(recipe: Recipe, cells: Sequence[str], vary: Vary, match: Match, observer: Observer) -> list[Variant]:
    """The variants in order: all cells for the first combination of values, then for the next.

    Args:
        recipe: what they have in common; it may leave open what the data say.
        cells: names of cells; none: the recipe's own.
        vary: recipe keys and the values each takes.
        match: "parameters": `model.hidden_size` of every variant but the first is the one that brings its number of
            parameters nearest to the first's; else sizes stay as they are.
        observer: receives what reading the data finds.

    Raises:
        RecipeError: for a cell that does not exist, or fewer than two variants.
    """
    names = [ALIASES.get(cell, cell) for cell in cells] or [recipe.model.cell]
    for name in names:
        if name not in registry.names():
            raise RecipeError(f"no cell is called `{name}`. There are: {', '.join(registry.names())}.")
    combinations = list(itertools.product(*vary.values()))
    if len(names) * len(combinations) < 2:
        raise RecipeError(
            "a comparison needs at least two models.", hint="--cells elman,gru,lstm, or --vary model.hidden_size=64,128"
        )
    found: list[Variant] = []
    for values in combinations:
        for cell in names:
            other = _without(recipe, cell, observer) if cell != recipe.model.cell else {}
            settings = {"model.cell": cell, **other, **dict(zip(vary, values, strict=True))}
            mapping = apply_overrides(recipe.model_dump(mode="json"), settings)
            label = [cell] if len(names) > 1 else []
            label += [f"{key.rpartition('.')[2]}={value}" for key, value in zip(vary, values, strict=True)]
            wanted = found[0].num_parameters if found and match == "parameters" else None
            found.append(
                _variant(" ".join(label), build_recipe(mapping), wanted, observer if not found else Observer())
            )
    return found


def _without(recipe: Recipe, cell: str, observer: Observer) -> dict[str, Any]:
    """Settings that drop what a cell does not take, each announced."""
    found = no_place_for(recipe.model, cell)
    for key in found:
        observer.note(f"model.{key} does not apply to {cell} as it is: {'left out' if not found[key] else found[key]}")
    return {f"model.{key}": value for key, value in found.items()}


def _variant(name: str, recipe: Recipe, wanted: int | None, observer: Observer) -> Variant:
    prepared = prepare(recipe, say=observer.note)
    sized = prepared.recipe.model

    def built(hidden_size: int) -> nn.Module:
        changed = build_recipe(
            apply_overrides(prepared.recipe.model_dump(mode="json"), {"model.hidden_size": hidden_size})
        )
        return task_of(changed).build(changed, prepared.features)

    size = sized.hidden_size if wanted is None else _size_for(built, wanted, sized)
    model = built(size)
    final = build_recipe(apply_overrides(recipe.model_dump(mode="json"), {"model.hidden_size": size}))
    return Variant(name, final, count_parameters(model), flops_per_step(model))


def _size_for(built: Any, wanted: int, recipe: ModelRecipe) -> int:
    """The hidden size that comes nearest to a number of parameters, which grows with it."""
    least, most = max(1, recipe.proj_size + 1), 2
    while most < _LARGEST and count_parameters(built(max(most, least))) < wanted:
        most *= 2
    low, high = least, max(most, least)
    while low < high:
        middle = (low + high) // 2
        if count_parameters(built(middle)) < wanted:
            low = middle + 1
        else:
            high = middle
    near = [size for size in (low - 1, low) if size >= least]
    return min(near, key=lambda size: abs(count_parameters(built(size)) - wanted))


def count_parameters(model: nn.Module) -> int:
    """The number of learnt parameters."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def flops_per_step(model: nn.Module) -> int:
    """Two for each weight that a step is multiplied with: of all matrices but tables that are only looked up.

    What is computed once a row counts as if it were computed at each step, so for classifiers it is slightly too much.
    Training takes about three times as many, since the backward pass makes two products of each of the forward pass.

    Example:
        >>> flops_per_step(torch.nn.Linear(3, 4))
        24
    """
    tables = {id(module.weight) for module in model.modules() if isinstance(module, Embedding | nn.Embedding)}
    outputs = {id(module.weight) for module in model.modules() if isinstance(module, nn.Linear)}  # tied to a table
    matrices = [weight for weight in model.parameters() if weight.dim() > 1]
    return 2 * sum(weight.numel() for weight in matrices if id(weight) not in tables - outputs)
