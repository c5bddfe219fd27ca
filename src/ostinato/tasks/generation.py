"""Options and results of generation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.data.features import Feature
from ostinato.errors import RecipeError, RunError
from ostinato.recipe import Recipe
from ostinato.tasks.adaptation import Adaptation
from ostinato.tasks.intervening import Intervene

USUAL_LENGTH = 500
"""Default number of tokens, or frames, where there is no end."""
DRAWN = 10
"""Default number of texts drawn for a condition."""


class OpenRun(Protocol):
    """What a task needs of a run: `ostinato.Run` is one."""

    folder: Path
    recipe: Recipe
    features: Features
    model: Any
    device: torch.device


@dataclass(frozen=True)
class GenerateOptions(Adaptation):
    """Options of generation, those of `Adaptation` among them; a default means that the option was not given.

    prompt: how it begins: text, a media file, or a list of frames; condition: what is given to write for: a cell, or a
    mapping from column to cell; num: sequences to draw; max_new_tokens: tokens, or frames, at most; temperature: below
    1 safer, above wilder, 0 always the likeliest; top_k, top_p: only from the likeliest tokens; seed: the same one
    writes the same; precision: full, or int8; intervene: units or gates of the encoder that are changed, at steps of
    the prompt and of what is written.
    """

    prompt: Any = ""
    condition: Any = None
    num: int | None = None
    max_new_tokens: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    precision: str = "full"
    intervene: Intervene | None = None

    def count(self, usual: int) -> int:
        """Sequences to draw: `usual` where nobody says how many. Raises `RecipeError` for fewer than one."""
        num = usual if self.num is None else self.num
        if num < 1:
            raise RecipeError(f"`num` must be a positive integer. Received: {num}.")
        return num

    def cells(self, columns: tuple[str, ...], folder: Path) -> Any:
        """The condition: one cell, or a mapping by column. Raises `RunError` for anything else."""
        given = self.condition
        if len(columns) == 1:
            if given is not None and not (isinstance(given, Mapping) and set(given) - set(columns)):
                return given[columns[0]] if isinstance(given, Mapping) else given
        elif isinstance(given, Mapping) and sorted(given) == sorted(columns):
            return dict(given)
        example = " ".join(f"--condition {name}=…" for name in columns) if len(columns) > 1 else "--condition …"
        received = ", ".join(f"{k}={v}" for k, v in given.items()) if isinstance(given, Mapping) else given
        raise RunError(
            f"`{folder}` writes for a given {', '.join(columns)}. Received: {received or 'nothing'}.",
            hint=f"ostinato generate {folder} {example}",
        )


@dataclass(frozen=True)
class Generation:
    """What was generated: one of the first three.

    pieces: text as it is written, after `prompt`; texts: sequences of tokens, decoded; frames: sequences of frames, as
    values of `feature`; given: what they were written for, and None where nothing is.
    """

    pieces: Iterator[str] | None = None
    texts: list[str] | None = None
    frames: list[Array] | None = None
    feature: Feature | None = None
    prompt: str = ""
    given: Any = field(default=None)

    @property
    def sequences(self) -> list[Any]:
        """Whole sequences as users know them: texts, or frames."""
        if self.texts is not None:
            return list(self.texts)
        known = list if self.feature is None else self.feature.known
        return [known(one) for one in self.frames or []]
