"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_json, print_text


def generate(
    run: Annotated[Path, typer.Argument(help="The run directory of a language model.")],
    prompt: Annotated[str, typer.Option(help="How the text begins.")] = "",
    max_new_tokens: Annotated[int, typer.Option(help="Tokens to write after the prompt.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1: safer; above: wilder; 0: always the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw only from so many of the likeliest tokens.")] = None,
    top_p: Annotated[float, typer.Option(help="Draw only from the likeliest tokens that make up this share.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    precision: Annotated[
        str, typer.Option(help="full, or int8: rounded weights, faster where they are large.")
    ] = "full",
    json: Annotated[bool, typer.Option("--json", help="Print prompt and text as JSON.")] = False,
) -> None:
    """Write new text."""
    from ostinato.run import load

    pieces = load(run).stream(
        prompt,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        precision=precision,
    )
    if json:
        print_json({"prompt": prompt, "text": "".join(pieces), "seed": seed})
        return
    print_text(prompt, end="")
    for piece in pieces:
        print_text(piece, end="")
    print_text("")
