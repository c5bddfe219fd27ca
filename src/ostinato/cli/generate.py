"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_json, print_text
from ostinato.errors import RecipeError


def generate(
    run: Annotated[Path, typer.Argument(help="The run directory of a language model or a model of music.")],
    prompt: Annotated[
        str, typer.Option(help="How the text begins; music: a MIDI file, or a JSON list of lists of pitches.")
    ] = "",
    max_new_tokens: Annotated[int, typer.Option(help="Tokens (music: frames) to write after the prompt.")] = 500,
    temperature: Annotated[float, typer.Option(help="Below 1: safer; above: wilder; 0: always the likeliest.")] = 1.0,
    top_k: Annotated[int | None, typer.Option(help="Draw only from so many of the likeliest tokens.")] = None,
    top_p: Annotated[float, typer.Option(help="Draw only from the likeliest tokens that make up this share.")] = 1.0,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = 0,
    precision: Annotated[
        str, typer.Option(help="full, or int8: rounded weights, faster where they are large.")
    ] = "full",
    out: Annotated[
        Path | None, typer.Option(help="Music: the MIDI file to write; else generated-SEED.mid in the run directory.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print prompt and text as JSON.")] = False,
) -> None:
    """Write new text."""
    from ostinato.run import load

    opened = load(run)
    if opened.recipe.model.kind == "next_step":
        from ostinato.cli.music import refuse, write_music

        refuse(top_k=top_k is not None, top_p=top_p != 1.0, precision=precision != "full")
        write_music(
            opened,
            prompt=prompt,
            num_frames=max_new_tokens,
            temperature=temperature,
            seed=seed,
            out=out,
            json=json,
        )
        return
    if out is not None:
        raise RecipeError(f"`--out` has no meaning for a {opened.recipe.model.kind.replace('_', ' ')}: it writes text.")
    pieces = opened.stream(
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
