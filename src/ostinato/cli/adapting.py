"""Options of a language model that goes on learning from what it reads."""

from __future__ import annotations

from typing import Annotated

import typer

from ostinato.tasks.adaptation import Adaptation

Dynamic = Annotated[
    float,
    typer.Option(metavar="RATE", help="Language model: weights follow what is read, at this rate; try 0.0005."),
]
DynamicDecay = Annotated[float, typer.Option(metavar="P", help="How far they go back to the trained ones each time.")]
Cache = Annotated[
    int,
    typer.Option(metavar="N", help="Language model: what was read in the last N tokens is likelier; try 2000."),
]
CacheTheta = Annotated[float, typer.Option(metavar="X", help="How much more so where it is in a similar state.")]
CacheLambda = Annotated[float, typer.Option(metavar="P", help="The share of the cache in its probabilities.")]
USUAL = Adaptation()
