"""`ostinato generate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.drawing import DRAWN, write_drawn
from ostinato.cli.frames import write_drawn_frames, write_next_frames
from ostinato.cli.writing import USUAL_LENGTH, Wanted, write_text

RunFolder = Annotated[
    Path,
    typer.Argument(
        help="The run directory of a language model, of a model of frames (music, curves), or of one that writes "
        "for a value or a source."
    ),
]
Prompt = Annotated[
    str, typer.Option(help="How it begins: text, a media file, or a JSON list of frames (pitches, numbers).")
]
Length = Annotated[
    int | None,
    typer.Option(help=f"Tokens, or frames, to write at most: {USUAL_LENGTH}, for what is given as the recipe says."),
]
Temperature = Annotated[float, typer.Option(help="Below 1: safer; above: wilder; 0: always the likeliest.")]
TopK = Annotated[int | None, typer.Option(help="Draw only from so many of the likeliest tokens.")]
TopP = Annotated[float, typer.Option(help="Draw only from the likeliest tokens that make up this share.")]
Seed = Annotated[int, typer.Option(help="The same seed writes the same.")]
Precision = Annotated[str, typer.Option(help="full, or int8: rounded weights, faster where they are large.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Frames: the file to write (.mid, .wav, .gif, .mp4, .csv, .json); of music, sound and video else "
        "generated-SEED in the run directory."
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(help="What is given, or read, to write for; several columns: --condition COLUMN=VALUE, each."),
]
Count = Annotated[
    int | None,
    typer.Option(
        "--num", "-n", min=1, help=f"Sequences to draw for what is given: texts by default {DRAWN}, frames 1."
    ),
]


def generate(
    run: RunFolder,
    prompt: Prompt = Wanted.prompt,
    max_new_tokens: Length = Wanted.max_new_tokens,
    temperature: Temperature = Wanted.temperature,
    top_k: TopK = Wanted.top_k,
    top_p: TopP = Wanted.top_p,
    seed: Seed = Wanted.seed,
    precision: Precision = Wanted.precision,
    out: Out = None,
    condition: Given = None,
    num: Count = None,
    json: Annotated[bool, typer.Option("--json", help="Print what is written as JSON.")] = False,
) -> None:
    """Write new text, music, curves, sound."""
    from ostinato.data.inference.applicability import WRITERS
    from ostinato.data.inference.written import FRAMES
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
