"""From measurements to what to do: each advice with the numbers that led to it and a change to the recipe."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ostinato.diagnostics import rules_recurrence, rules_training
from ostinato.diagnostics.diagnosis import Advice, Diagnosis


def advise(diagnosis: Diagnosis) -> list[Advice]:
    """What to change, most serious first; notes of kind `fine` come last.

    First what keeps a model from remembering (a vanishing recurrence, closed gates), then limits of training (windows,
    truncation, clipping), then savings. Savings are left out where the recurrence is unhealthy or training windows were
    too short: a model that could not learn to remember says nothing about how much memory its data need. All thresholds
    are in `ostinato.diagnostics.thresholds`.

    Example:
        >>> from ostinato.diagnostics.of_run import diagnose_run
        >>> found = advise(diagnose_run(ostinato.load("runs/island"), num_rows=4))
        >>> all(advice.says for advice in found)
        True
    """
    sick = _all(diagnosis, rules_recurrence.SICK)
    held_back = _all(diagnosis, rules_training.HELD_BACK)
    could_not = sick or any(advice.kind == "window_too_short" for advice in held_back)
    saving = [] if could_not else _all(diagnosis, (*rules_recurrence.SAVING, *rules_training.SAVING))
    found = [*sick, *held_back, *saving]
    return [*found, *_all(diagnosis, () if sick else rules_training.FINE)]


Rule = Callable[[Diagnosis], Iterator[tuple[str, str, tuple[str, ...], str | None]]]


def _all(diagnosis: Diagnosis, rules: tuple[Rule, ...]) -> list[Advice]:
    return [Advice(*found) for rule in rules for found in rule(diagnosis)]
