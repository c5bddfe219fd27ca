"""What a user should know of a trained run before its figures: each finding with the command that mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.arrays import Integers
from ostinato.data.dataset import Prepared
from ostinato.data.inference.applicability import applies
from ostinato.data.rejects import counted
from ostinato.data.targets import LabelsTarget, NamesTarget, missing_in_words
from ostinato.metrics.classification import Metrics
from ostinato.recipe import LOWER_IS_BETTER, Recipe
from ostinato.wording import command, set_options

_FEWEST_ROWS = 30
"""Validation rows below which figures say little."""
_FEWEST_EPOCHS = 3
_STILL = 0.05
"""Share of all that training gained that the last tenth of the epochs brought, from which on more would help."""
_ENOUGH_STEPS = 300
_NAMED = 5
_RARE = 0.005
"""Share of the rows below which one of many classes may go unpredicted without a word."""
_MANY = 20
_UNEVEN = 1.5
"""How many times as many rows the largest class has, from which on weights would help the smallest."""


@dataclass(frozen=True)
class Trained:
    """A run whose training has ended. run: its directory, for commands; prepared: its data; metrics: of its validation;
    validations: every one of the log; steps: of training."""

    run: str
    prepared: Prepared
    metrics: Metrics
    validations: Sequence[dict[str, Any]]
    steps: int

    @property
    def recipe(self) -> Recipe:
        """Resolved."""
        return self.prepared.recipe

    def again(self, settings: Mapping[str, object]) -> str:
        """The command that trains it again."""
        return command("train", "--recipe", f"{self.run}/recipe.yaml", *set_options(settings))


@dataclass(frozen=True)
class Finding:
    """kind: a short name for machines; says: what was found; hint: the command that mends it, or what else does;
    serious: whether anything is wrong."""

    kind: str
    says: str
    hint: str
    serious: bool = True


def findings_of(trained: Trained) -> Iterator[Finding]:
    """What can be said of any run, the most serious first."""
    yield from _answers(trained)
    yield from _missing(trained)
    yield from _still_falling(trained)
    yield from _few_rows(trained)


def _answers(trained: Trained) -> Iterator[Finding]:
    """One answer for everything, or classes that are never given as an answer."""
    rows = [row for row in trained.metrics.get("per_class", ()) if "predicted" in row]
    said = [row for row in rows if row["predicted"]]
    there = [row for row in rows if row["support"]]
    if len(rows) < 2 or not there:
        return
    hint = _balanced(trained)
    if len(said) == 1 and not isinstance(trained.prepared.features.target, LabelsTarget):
        yield Finding("one_answer", f"it gives the same answer for every row: `{said[0]['name']}`", hint)
        return
    total = sum(row["support"] for row in there)
    never = [row for row in there if not row["predicted"] and (len(rows) <= _MANY or row["support"] > _RARE * total)]
    if never:
        named = ", ".join(f"`{row['name']}` ({row['support']:,} of {total:,})" for row in never[:_NAMED])
        more = f" and {len(never) - _NAMED} more" if len(never) > _NAMED else ""
        yield Finding("never_predicted", f"it never predicts {named}{more}", hint)


def _balanced(trained: Trained) -> str:
    """Rare classes made to count more, where that is possible and was not done; else more training."""
    recipe = trained.recipe
    if applies("training.class_weight", recipe) and recipe.training.class_weight == "none":
        counts = _counts(trained.prepared)
        if counts.max() > _UNEVEN * counts.min():
            return trained.again({"training.class_weight": "balanced"})
    return trained.again(recipe.training.longer())


def _counts(prepared: Prepared) -> Integers:
    """Training rows of each class, or steps with each tag that has any."""
    target, train = prepared.features.target, prepared.train
    if isinstance(target, NamesTarget):
        return target.rows_of_each(np.asarray(train.targets))
    tags = train.target_sequences.values
    return np.unique(tags[tags >= 0], return_counts=True)[1]


def _missing(trained: Trained) -> Iterator[Finding]:
    """Classes that no validation row has."""
    data = trained.recipe.data
    for name, count in trained.prepared.missing_classes[:_NAMED]:
        hint = f"rows of `{name}` in {data.validation}"
        if not isinstance(data.validation, str):
            drawn = data.stratify == "each" or data.group is not None
            hint = f"more rows of `{name}`" if drawn else trained.again({"data.stratify": "each"})
        yield Finding("untested_class", missing_in_words(name, count), hint)


def _still_falling(trained: Trained) -> Iterator[Finding]:
    """The last epoch was the best, and gained as much as those before it had led to expect."""
    training, found = trained.recipe.training, trained.validations
    figure = training.monitor
    curve = [float(one[figure]) for one in found if one.get(figure) is not None]
    if len(curve) < _FEWEST_EPOCHS:
        return
    sign = -1.0 if figure in LOWER_IS_BETTER else 1.0
    gains = [sign * value for value in curve]
    before = max(gains[: -max(1, len(gains) // 10)])
    if gains[-1] < max(gains) or gains[-1] - before <= _STILL * (gains[-1] - gains[0]):
        return
    enough = training.max_minutes is not None or 2 * trained.steps >= _ENOUGH_STEPS
    change = training.longer(2 if enough else _ENOUGH_STEPS / max(trained.steps, 1))
    doing = "falling" if sign < 0 else "rising"
    yield Finding(
        "not_done",
        f"validation {figure.replace('_', ' ')} was still {doing} when training ended, after "
        f"{counted(trained.steps, 'step')}",
        command("train", "--resume", trained.run, *set_options(change)),
    )


def _few_rows(trained: Trained) -> Iterator[Finding]:
    """So few rows that their figures may be luck."""
    count = len(trained.prepared.validation)
    if trained.recipe.model.rows == "independent" and count < _FEWEST_ROWS:
        yield Finding(
            "few_rows",
            f"the figures are of {counted(count, 'validation row')} only: another split may give quite different ones",
            command("crossvalidate", f"{trained.run}/recipe.yaml", "--folds", 5),
        )
