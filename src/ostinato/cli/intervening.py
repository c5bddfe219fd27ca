"""`--intervene` of commands that predict or write."""

from __future__ import annotations

from typing import Annotated

import typer

Intervened = Annotated[
    list[str] | None,
    typer.Option(
        "--intervene",
        help="Change units or gates at every step, or from one on: 'layer 1.c[3] = 0', 'layer 1.f *= 0.5 from 12'.",
    ),
]
