"""Options of a recipe's model that another cell does not take."""

from __future__ import annotations

from typing import Any

from ostinato import cells
from ostinato.recipe import ModelRecipe


def no_place_for(model: ModelRecipe, name: str) -> dict[str, Any]:
    """Settings that drop what a cell does not take: values of a gate, a projection or a second state that it lacks.

    Args:
        model: whose cell is to be changed.
        name: of the other cell.

    Returns:
        Keys of `model` and what each must be set to; empty where everything can stay.

    Example:
        >>> no_place_for(ModelRecipe(forget_bias=1.0, hidden_size=8), "elman")
        {'forget_bias': None}
    """
    cell, found = cells.get(name), dict[str, Any]()
    for option in cell.undefined_options():
        default = ModelRecipe.model_fields[option].default
        if getattr(model, option) != default:
            found[option] = default
    if len(model.zoneout) > len(cell.state_names):
        found["zoneout"] = list(model.zoneout[:1])
    return found
