"""`ostinato generate`."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.adapting import USUAL, Cache, CacheLambda, CacheTheta, Dynamic, DynamicDecay
from ostinato.cli.console import print_json, print_text
from ostinato.cli.intervening import Intervened
from ostinato.errors import RecipeError

RunFolder = Annotated[
    Path,
    typer.Argument(
        help="The run directory, or a packed run, of a language model, a model of frames (music, curves), or one that "
        "writes given a value or a source."
    ),
]
Prompt = Annotated[
    str, typer.Option(help="The beginning: text, a media file, or a JSON list of frames (pitches, numbers).")
]
Length = Annotated[
    int | None,
    typer.Option(help="At most so many new tokens or frames; default: 500, with --condition as the recipe says."),
]
Temperature = Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder, 0 always the likeliest.")]
TopK = Annotated[int | None, typer.Option(help="Draw from this many of the likeliest tokens only.")]
TopP = Annotated[float, typer.Option(help="Draw from the likeliest tokens that make up this share only.")]
Seed = Annotated[int, typer.Option(help="The same seed gives the same output.")]
Precision = Annotated[str, typer.Option(help="full, or int8: quantised weights, faster for large models.")]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Frames: the file to write (.mid, .wav, .gif, .mp4, .csv, .json); of music, sound and video else "
        "generated-SEED in the run directory; of a packed run, here."
    ),
]
Given = Annotated[
    list[str] | None,
    typer.Option(help="What is given, or read, to write for; several columns: --condition COLUMN=VALUE, each."),
]
Count = Annotated[
    int | None,
    typer.Option("--num", "-n", min=1, help="Sequences to draw for what is given: texts by default 10, frames 1."),
]


def generate(
    run: RunFolder,
    prompt: Prompt = "",
    max_new_tokens: Length = None,
    temperature: Temperature = 1.0,
    top_k: TopK = None,
    top_p: TopP = 1.0,
    seed: Seed = 0,
    precision: Precision = "full",
    out: Out = None,
    condition: Given = None,
    num: Count = None,
    intervene: Intervened = None,
    dynamic: Dynamic = USUAL.dynamic,
    dynamic_decay: DynamicDecay = USUAL.dynamic_decay,
    cache: Cache = USUAL.cache,
    cache_theta: CacheTheta = USUAL.cache_theta,
    cache_lambda: CacheLambda = USUAL.cache_lambda,
    json: Annotated[bool, typer.Option("--json", help="Print the output as JSON.")] = False,
) -> None:
    """Generate text, music, curves, sound or pictures."""
    from ostinato.cli.frames import prompt_of, show
    from ostinato.run import load

    opened = load(run)
    found = opened.generation(
        prompt_of(prompt),
        condition=given_of(condition or []),
        num=num,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        seed=seed,
        precision=precision,
        intervene=intervene or None,
        dynamic=dynamic,
        dynamic_decay=dynamic_decay,
        cache=cache,
        cache_theta=cache_theta,
        cache_lambda=cache_lambda,
        flags=True,
    )
    if found.frames is not None:
        show(run if run.is_dir() else Path(), found, out, seed, json)
        return
    if out is not None:
        raise RecipeError("`--out` does not apply to a model that writes text: leave it out.")
    if found.texts is not None:
        if json:
            print_json({"condition": found.given, "texts": found.texts, "seed": seed})
        else:
            print_text("\n".join(found.texts))
        return
    pieces = found.pieces or iter(())
    if json:
        print_json({"prompt": found.prompt, "text": "".join(pieces), "seed": seed})
        return
    print_text(found.prompt, end="")
    for piece in pieces:
        print_text(piece, end="")
    print_text("")


def given_of(condition: list[str]) -> Any:
    """The value of `--condition`: None, a cell, or a mapping by column."""
    if not condition:
        return None
    named = dict(part.split("=", 1) for part in condition if "=" in part)
    if len(named) == len(condition):
        return {name: _cell(value) for name, value in named.items()}
    return _cell(condition[0]) if len(condition) == 1 else dict.fromkeys(condition, "")


def _cell(value: str) -> Any:
    """Text, or a JSON list: numbers, pixels."""
    if not value.lstrip().startswith("["):
        return value
    try:
        return json_module.loads(value)
    except json_module.JSONDecodeError:
        return value
