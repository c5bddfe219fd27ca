"""`training.monitor` names a figure that is measured, which is known before training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pytest

from ostinato.errors import RecipeError
from ostinato.recipe import build_recipe
from ostinato.recipe.training import Monitor
from ostinato.tasks.monitors import check_monitor
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

if TYPE_CHECKING:
    from tests.unit.evaluation.conftest import Trained

POLARITY = Path(__file__).parents[2] / "data" / "polarity.csv"


@pytest.mark.parametrize("kind", ["two", "labels", "number", "characters"])
def test_what_is_said_to_be_measured_is(trained: Callable[[str], Trained], kind: str) -> None:
    run, prepared = trained(kind)
    assert {"loss", *run.spec.figures(prepared.recipe, prepared.validation)} == set(get_args(Monitor)) & set(
        run.summary["validation"]
    )


def test_another_figure_is_refused_before_training(tmp_path: Path) -> None:
    data = {"train": str(POLARITY), "input": "text", "target": "label"}
    recipe = build_recipe({"data": data, "training": {"monitor": "bleu"}})
    with pytest.raises(RecipeError, match=r"measured here: loss, accuracy, f1. Received: 'bleu'"):
        train_recipe(recipe, tmp_path / "run", Observer())
    assert not (tmp_path / "run").exists()


def test_figures_stand_in_one_order() -> None:
    with pytest.raises(RecipeError, match="measured here: loss, exact"):
        check_monitor("mse", ["exact", "num_examples", "loss"])
