"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.drawing import DRAWN, write_drawn
from ostinato.cli.music import write_music
from ostinato.cli.writing import Wanted, write_text


def generate(
    run: Annotated[
        Path,
        typer.Argument(help="The run directory of a language model, a model of music, or one that writes for a value."),
    ],
    prompt: Annotated[
        str, typer.Option(help="How the text begins; music: a MIDI file, or a JSON list of lists of pitches.")
    ] = Wanted.prompt,
    max_new_tokens: Annotated[
        int, typer.Option(help="Tokens (music: frames) to write after the prompt.")
    ] = Wanted.max_new_tokens,
    temperature: Annotated[
        float, typer.Option(help="Below 1: safer; above: wilder; 0: always the likeliest.")
    ] = Wanted.temperature,
    top_k: Annotated[int | None, typer.Option(help="Draw only from so many of the likeliest tokens.")] = None,
    top_p: Annotated[
        float, typer.Option(help="Draw only from the likeliest tokens that make up this share.")
    ] = Wanted.top_p,
    seed: Annotated[int, typer.Option(help="The same seed writes the same text.")] = Wanted.seed,
    precision: Annotated[
        str, typer.Option(help="full, or int8: rounded weights, faster where they are large.")
    ] = Wanted.precision,
    out: Annotated[
        Path | None, typer.Option(help="Music: the MIDI file to write; else generated-SEED.mid in the run directory.")
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="What a conditional model writes for; of several columns: --condition COLUMN=VALUE, each."),
    ] = None,
    num: Annotated[
        int | None, typer.Option("--num", "-n", min=1, help=f"conditional: texts to draw, by default {DRAWN}.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print prompt and text as JSON.")] = False,
) -> None:
    """Write new text."""
    from ostinato.run import load

    given = tuple(condition or ())
    wanted = Wanted(prompt, max_new_tokens, temperature, top_k, top_p, seed, precision, out, given, num, json)
    opened = load(run)
    write = {"conditional": write_drawn, "next_step": write_music}.get(opened.recipe.model.kind, write_text)
    write(opened, wanted)
