"""What a recipe without epochs trains with, planned from the shape of its training part: model, optimiser, budget.

Each task has a table of its own (`TaskSpec.plan`); what a user set always stands, and what is planned is in the
resolved recipe, so that it trains the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.data.dataset import Prepared
from ostinato.data.features import form_of
from ostinato.data.rejects import counted
from ostinato.data.sequences import Sequences
from ostinato.data.targets import NamesTarget
from ostinato.recipe import Recipe

ANNEALED: Mapping[str, Any] = {
    "training.schedule": "cosine",
    "training.learning_rate": 3e-3,
    "training.refit": "solved",
}
"""What every plan has: a rate that falls to zero as the budget is spent; in the end, counts of all rows."""
FEW: Mapping[str, Any] = {"training.keep": "last", "training.refit": "all"}
"""What it has of few rows, of which none can be spared."""
_FEW_ROWS = 500
"""Training rows below which the validation part is too small to choose an epoch by."""


@dataclass(frozen=True)
class Shape:
    """The training part: rows; steps: of all rows together; typical, longest, shortest: steps of a row; width: numbers
    a step, 0 of ids; classes: of a target of classes or labels, else 0; form: what a step is (`Feature.form`); season:
    steps of one, of series in time, else 1; lookback: steps before a forecast that tell most of it, else 0; noun: what
    a row is called."""

    rows: int
    steps: int
    typical: int
    longest: int
    width: int
    classes: int
    form: str
    shortest: int = 1
    season: int = 1
    lookback: int = 0
    noun: str = "row"

    @classmethod
    def of(cls, prepared: Prepared, steps: Sequences | None = None) -> Shape:
        """Of data that are read; `steps`: whose lengths are a row's, by default the input's."""
        train, target = prepared.train, prepared.features.target
        lengths, values = (steps or train.sequences).lengths, train.sequences.values
        vectors = np.issubdtype(values.dtype, np.floating) and values.ndim == 2
        return cls(
            rows=len(train),
            steps=int(lengths.sum()),
            typical=int(np.median(lengths)) if len(lengths) else 0,
            longest=int(lengths.max(initial=0)),
            width=values.shape[1] if vectors else 0,
            classes=len(target.classes) if isinstance(target, NamesTarget) else 0,
            form=form_of(prepared.recipe.features.input),
            shortest=int(lengths.min()) if len(lengths) else 0,
        )

    @property
    def is_small(self) -> bool:
        """Whether the validation part is too small to choose an epoch by."""
        return self.rows < _FEW_ROWS

    def __str__(self) -> str:
        about = "" if self.typical == self.longest else "about "
        parts = [f"{counted(self.rows, self.noun)} of {about}{counted(self.typical, 'step')}"]
        parts += [f"{self.width:,} channels"] if self.width > 1 else []
        parts += [f"{self.classes:,} classes"] if self.classes else []
        parts += [f"a season of {counted(self.season, 'step')}"] if self.season > 1 else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Plan:
    """What is chosen for some data.

    name: of the configuration, in the task's table; options: recipe keys; steps, epochs: how long it trains at least;
    minutes: and at most; reread: whether options say how data are read, which is then done again.
    """

    name: str
    options: Mapping[str, Any]
    steps: int = 500
    epochs: float = 10
    minutes: float = 2
    reread: bool = False


def alternatives(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """To a recipe of recurrent layers: another cell, twice the units, a third of the learning rate."""
    model, rate = recipe.model, recipe.training.learning_rate
    cell = "lstm" if model.cell == "gru" else "gru"
    return {
        cell.upper(): {"model.cell": cell},
        f"{2 * model.hidden_size} units": {"model.hidden_size": 2 * model.hidden_size},
        "a lower learning rate": {"training.learning_rate": rate / 3},
    }
