"""`ostinato generate` for a model of music: a MIDI file, and its roll as text."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ostinato.cli.console import note, print_json, print_text
from ostinato.errors import RecipeError, RunError

if TYPE_CHECKING:
    from ostinato.run import Run


def write_music(
    run: Run, *, prompt: str, num_frames: int, temperature: float, seed: int, out: Path | None, json: bool
) -> None:
    """Write frames after the prompt (a MIDI file, or a JSON list of lists of pitches) to a MIDI file and show them."""
    from ostinato.data.features.notes import NotesFeature
    from ostinato.data.midi import write_midi
    from ostinato.generation.music import compose, roll_text
    from ostinato.models import NextStep

    feature = cast("NotesFeature", run.features.input)
    frames = compose(
        cast("NextStep", run.model),
        feature,
        prompt=_prompt(prompt),
        num_frames=num_frames,
        temperature=temperature,
        seed=seed,
    )
    path = out or run.folder / f"generated-{seed}.mid"
    if not path.parent.is_dir():
        raise RunError(f"there is no folder `{path.parent}` to write `{path.name}` into.")
    write_midi(frames, path, feature.recipe.frames_per_beat)
    if json:
        print_json({"frames": frames, "midi": str(path), "seed": seed})
        return
    print_text(roll_text(frames))
    note(f"written to {path}, {feature.recipe.frames_per_beat} frames a beat")


def refuse(**given: bool) -> None:
    """Raise `RecipeError` for an option that was given and means nothing to music."""
    for name, there in given.items():
        if there:
            raise RecipeError(f"`--{name.replace('_', '-')}` has no meaning for a model of music: leave it out.")


def _prompt(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return text
    try:
        return json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise RunError(
            f"the prompt is no JSON list of lists of pitches: {text[:60]!r}.", hint="for example [[60, 64, 67], [60]]"
        ) from error
