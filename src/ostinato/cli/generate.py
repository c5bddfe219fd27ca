"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.drawing import DRAWN, write_drawn
from ostinato.cli.frames import write_drawn_frames, write_next_frames
from ostinato.cli.writing import USUAL_LENGTH, Wanted, write_text


def generate(
    run: Annotated[
        Path,
        typer.Argument(
            help="The run directory of a language model, of a model of frames (music, curves), or of one that writes "
            "for a value."
        ),
    ],
    prompt: Annotated[
        str, typer.Option(help="How it begins: text, a media file, or a JSON list of frames (pitches, numbers).")
    ] = Wanted.prompt,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            help=f"Tokens, or frames, to write at most: {USUAL_LENGTH}, for what is given as the recipe says.",
        ),
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
        Path | None,
        typer.Option(
            help="Frames: the file to write (.mid, .wav, .gif, .mp4, .csv, .json); of music, sound and video else "
            "generated-SEED in the run directory."
        ),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="What is given, or read, to write for; several columns: --condition COLUMN=VALUE, each."),
    ] = None,
    num: Annotated[
        int | None,
        typer.Option(
            "--num", "-n", min=1, help=f"Sequences to draw for what is given: texts by default {DRAWN}, frames 1."
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print prompt and text as JSON.")] = False,
) -> None:
    """Write new text."""
    from ostinato.data.meaning import WRITERS
    from ostinato.data.written import FRAMES
    from ostinato.run import load

    given = tuple(condition or ())
    wanted = Wanted(prompt, max_new_tokens, temperature, top_k, top_p, seed, precision, out, given, num, json)
    opened = load(run)
    kind, target = opened.recipe.model.kind, opened.recipe.features.target.kind
    if kind == "next_step":
        write_next_frames(opened, wanted)
    elif kind in WRITERS and target in FRAMES:
        write_drawn_frames(opened, wanted)
    else:
        (write_drawn if kind in WRITERS else write_text)(opened, wanted)
