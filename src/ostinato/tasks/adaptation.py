"""Options of a model that goes on learning from what it reads, in evaluation and generation."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from ostinato.errors import RecipeError
from ostinato.wording import with_article


@dataclass(frozen=True)
class Adaptation:
    """Options that adapt a model to what it reads; a default means that the option was not given.

    dynamic: rate of dynamic evaluation, at least 0; 0: none; dynamic_decay: how far weights then go back to the trained
    ones at each update, in [0, 1); cache: tokens that a continuous cache remembers; 0: none; cache_theta: how sharply
    it prefers those read in a state like the present one, at least 0; cache_lambda: the share of its distribution, in
    (0, 1).
    """

    dynamic: float = 0.0
    dynamic_decay: float = 0.001
    cache: int = 0
    cache_theta: float = 0.3
    cache_lambda: float = 0.1
    flags: bool = False
    """Whether messages name options as the command line does."""

    def __post_init__(self) -> None:
        """Raise `RecipeError` for an option out of range, or one whose other is missing."""
        self._check("dynamic", "a number, 0 or more", self.dynamic >= 0 and math.isfinite(self.dynamic))
        self._check("dynamic_decay", "in [0, 1)", 0 <= self.dynamic_decay < 1)
        self._check("cache", "a number of tokens, 0 or more", isinstance(self.cache, int) and self.cache >= 0)
        self._check("cache_theta", "a number, 0 or more", self.cache_theta >= 0 and math.isfinite(self.cache_theta))
        self._check("cache_lambda", "in (0, 1)", 0 < self.cache_lambda < 1)
        for option in fields(Adaptation):
            other = option.name.partition("_")[0]
            if other != option.name and self.given(option.name) and not self.given(other):
                raise RecipeError(f"`{self.shown(option.name)}` only applies with `{self.shown(other)}`.")

    @property
    def adapts(self) -> bool:
        """Whether anything is adapted."""
        return bool(self.dynamic or self.cache)

    @property
    def adaptations(self) -> dict[str, float]:
        """The options that were given, by name."""
        names = [option.name for option in fields(Adaptation) if option.name != "flags"]
        return {name: getattr(self, name) for name in names if self.given(name)}

    def given(self, name: str) -> bool:
        """Whether an option has another value than its default."""
        return bool(getattr(self, name) != type(self).__dataclass_fields__[name].default)

    def shown(self, name: str) -> str:
        """An option as whoever gave it calls it."""
        return f"--{name.replace('_', '-')}" if self.flags else name

    def inapplicable(self, noun: str) -> RecipeError:
        """The error for a model that can't adapt."""
        name = self.shown("dynamic" if self.given("dynamic") else "cache")
        return RecipeError(f"`{name}` only applies to a language model: leave it out. Received: {with_article(noun)}.")

    def refuse(self, noun: str, *names: str) -> None:
        """Raise `RecipeError` for one of these options that was given, since it does not apply to a model."""
        for name in names:
            if self.given(name):
                raise RecipeError(f"`{self.shown(name)}` does not apply to {with_article(noun)}: leave it out.")

    def _check(self, name: str, what: str, holds: bool) -> None:
        if not holds:
            raise RecipeError(f"`{self.shown(name)}` must be {what}. Received: {getattr(self, name)!r}.")
