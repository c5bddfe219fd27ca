"""Recipes that forecast, from options as they are thought of together."""

from __future__ import annotations

from typing import Any

from ostinato.recipe.forecast import TimeSeriesRecipe


def forecasting(options: dict[str, Any], **data: Any) -> dict[str, Any]:
    """The sections `data` and `model`: each option where it belongs."""
    of_data = {key: value for key, value in options.items() if key in TimeSeriesRecipe.model_fields}
    rest = {key: value for key, value in options.items() if key not in of_data}
    return {"data": {**data, **of_data}, "model": {"task": "forecasting", **rest}}
