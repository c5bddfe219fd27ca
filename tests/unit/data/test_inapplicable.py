"""Options that the kind of model would ignore are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare

POLARITY = Path(__file__).parents[2] / "data" / "polarity.csv"


@pytest.mark.parametrize(
    ("target", "section", "key", "value"),
    [
        (None, "model", "members", 2),
        (None, "model", "pooling", ["max"]),
        (None, "training", "adversarial", 1.0),
        ("label", "model", "tie_embeddings", True),
    ],
)
def test_an_option_without_meaning_is_refused(target: str | None, section: str, key: str, value: Any) -> None:
    data = {"train": str(POLARITY), "input": "text", "target": target}
    with pytest.raises(RecipeError, match=rf"`{section}\.{key}` does not apply to a "):
        prepare(build_recipe({"data": data, section: {key: value}}))
