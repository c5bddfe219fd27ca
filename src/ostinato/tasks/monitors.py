"""Which figures of `training.monitor` are measured of a run, told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.features import TextFeature
from ostinato.data.targets import TargetFeature
from ostinato.errors import RecipeError
from ostinato.recipe.training import Monitor
from ostinato.tasks.conditional.evaluation import has_one_answer
from ostinato.tasks.registry import writes_frames

_WRITTEN = ("token_error_rate", "sequence_error_rate", "exact")
_OF_VALUE = {"class": ("accuracy", "f1"), "labels": ("accuracy", "f1"), "number": ("mae", "rmse", "r2")}
"""Of a classifier, by the kind of its target."""
_OF_STEPS = {"notes": ("accuracy", "f1", "exact"), "series": ("mse", "mae", "r2")}
"""Of a tagger, and of frames that are written, by the kind of the target."""


def figures_of(prepared: Prepared) -> tuple[str, ...]:
    """The figures that `evaluate` will give, of those that `training.monitor` may name; `loss` first."""
    kind, target = prepared.recipe.model.kind, prepared.features.target
    found: tuple[str, ...] = ()
    if kind == "forecaster":
        found = ("mse", "mae", "rmse", "smape", "mase")
    elif writes_frames(prepared.recipe):
        found = _OF_STEPS["notes" if prepared.recipe.features.target.kind == "notes" else "series"]
    elif kind == "next_step":
        found = ("accuracy",)
    elif isinstance(target, TargetFeature):
        found = _OF_VALUE[target.kind]
    elif kind == "tagger" and prepared.recipe.model.tagger.output != "ctc":
        found = _OF_STEPS.get(prepared.recipe.features.target.kind, ("accuracy", "f1", "exact"))
    elif kind == "tagger" or (target is not None and _is_right_or_wrong(prepared)):
        words = isinstance(target, TextFeature) and target.recipe.unit != "characters"
        found = (*_WRITTEN, "bleu") if words and kind != "tagger" else _WRITTEN
    return ("loss", *found)


def check_monitor(monitor: str, measured: Iterable[str]) -> None:
    """Raise `RecipeError` where `training.monitor` is not among what is measured."""
    known = [name for name in get_args(Monitor) if name in set(measured)]
    if monitor not in known:
        raise RecipeError(
            f"`training.monitor` must be a figure that is measured here: {', '.join(known)}. Received: {monitor!r}."
        )


def _is_right_or_wrong(prepared: Prepared) -> bool:
    """Whether what is written can be compared with one right answer."""
    examples = prepared.validation
    return prepared.recipe.model.kind != "conditional" or (isinstance(examples, Examples) and has_one_answer(examples))
