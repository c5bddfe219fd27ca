"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_json, print_text
from ostinato.cli.drawing import refuse_conditions
from ostinato.errors import RecipeError


def generate(
    run: Annotated[
        Path,
        typer.Argument(help="The run directory of a language model, a model of music, or one that writes for a value."),
    ],
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
    condition: Annotated[
        list[str] | None,
        typer.Option(help="What a conditional model writes for; of several columns: --condition COLUMN=VALUE, each."),
    ] = None,
    num: Annotated[
        int | None, typer.Option("--num", "-n", min=1, help="conditional: texts to draw, by default 10.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print prompt and text as JSON.")] = False,
) -> None:
    """Write new text."""
    from ostinato.run import load

    opened = load(run)
    if opened.recipe.model.kind == "conditional":
        from ostinato.cli.drawing import DRAWN, write_drawn

        _refuse(prompt=bool(prompt), precision=precision != "full", out=out is not None)
        write_drawn(
            opened,
            condition or (),
            num=DRAWN if num is None else num,
            max_new_tokens=max_new_tokens,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
            seed=seed,
            json=json,
        )
        return
    refuse_conditions(opened.recipe.model.kind, condition or (), num)
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


def _refuse(**given: bool) -> None:
    """Raise `RecipeError` for an option that was given and means nothing to a conditional model."""
    for name, there in given.items():
        if there:
            raise RecipeError(f"`--{name}` has no meaning for a conditional model: leave it out.")
