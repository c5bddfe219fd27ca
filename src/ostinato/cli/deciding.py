"""Options that say how probabilities become answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ostinato.run import Run

Threshold = Annotated[
    float | None,
    typer.Option(metavar="P", help="Two classes: from which probability on the second is the answer."),
]
Abstain = Annotated[
    float | None, typer.Option(metavar="P", help="Give no answer where its probability is below this, 0.8 for example.")
]


def decide(opened: Run, **decisions: float | None) -> None:
    """Have a run answer as the options say, those that were given."""
    given = {name: value for name, value in decisions.items() if value is not None}
    if given:
        opened.decide_as(**given)
