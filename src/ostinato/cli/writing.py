"""What `ostinato generate` is asked for, and how a model of text writes it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from ostinato.cli.console import print_json, print_text
from ostinato.errors import RecipeError

if TYPE_CHECKING:
    from ostinato.run import Run


USUAL_LENGTH = 500
"""Tokens, or frames, of what has no end of its own, where nobody says how many."""


@dataclass(frozen=True)
class Wanted:
    """The options of `ostinato generate`, with their defaults."""

    prompt: str = ""
    max_new_tokens: int | None = None
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    precision: str = "full"
    out: Path | None = None
    condition: tuple[str, ...] = ()
    num: int | None = None
    json: bool = False

    def refuse(self, model: str, *names: str) -> None:
        """Raise `RecipeError` for one of these options that was given, since it means nothing to a model."""
        for option in fields(self):
            if option.name in names and getattr(self, option.name) != option.default:
                flag = option.name.replace("_", "-")
                raise RecipeError(f"`--{flag}` does not apply to a {model}: leave it out.")


def write_text(run: Run, wanted: Wanted) -> None:
    """Print the prompt and what the model writes after it, as it is written."""
    wanted.refuse(run.recipe.model.kind.replace("_", " "), "out", "condition", "num")
    pieces = run.stream(
        wanted.prompt,
        max_new_tokens=USUAL_LENGTH if wanted.max_new_tokens is None else wanted.max_new_tokens,
        temperature=wanted.temperature,
        top_k=wanted.top_k,
        top_p=wanted.top_p,
        seed=wanted.seed,
        precision=wanted.precision,
    )
    if wanted.json:
        print_json({"prompt": wanted.prompt, "text": "".join(pieces), "seed": wanted.seed})
        return
    print_text(wanted.prompt, end="")
    for piece in pieces:
        print_text(piece, end="")
    print_text("")
