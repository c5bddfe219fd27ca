"""Check that `training.monitor` is measured, before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from ostinato.errors import RecipeError
from ostinato.recipe.training import Monitor


def check_monitor(monitor: str, measured: Iterable[str]) -> None:
    """Raise `RecipeError` where `training.monitor` is not among what is measured."""
    known = [name for name in get_args(Monitor) if name in set(measured)]
    if monitor not in known:
        raise RecipeError(
            f"`training.monitor` must be a metric that is measured here: {', '.join(known)}. Received: {monitor!r}."
        )
