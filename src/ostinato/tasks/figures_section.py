"""The default section of the report: metrics as a table."""

from __future__ import annotations

from typing import Any

from ostinato.metrics.classification import Metrics
from ostinato.metrics.names import METRIC_NAMES
from ostinato.recipe import Recipe
from ostinato.report.page import figure
from ostinato.wording import with_article

_TILES = 3


def figures_section(metrics: Metrics, recipe: Recipe, noun: str) -> dict[str, Any]:
    """Every numeric metric by its name; the first ones also head the page."""
    numbers = {key: value for key, value in metrics.items() if isinstance(value, int | float)}
    named = [(METRIC_NAMES.get(key, key.replace("_", " ")), value) for key, value in numbers.items()]
    what = f"`{recipe.data.target}` from `{recipe.data.input}`" if recipe.data.target else f"`{recipe.data.input}`"
    return {
        "template": "figures.html.jinja",
        "metrics": metrics,
        "sentence": f"{with_article(noun).capitalize()}: {what}.",
        "tiles": [(name, figure(value), "") for name, value in named if name != "loss"][:_TILES],
        "table": [{"name": name, "value": value} for name, value in named],
    }
