"""`ostinato generate` for a model of music: a MIDI file, and its roll as text."""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Any, cast

from ostinato.cli.console import note, print_json, print_text
from ostinato.cli.drawing import given_of
from ostinato.cli.writing import Wanted
from ostinato.errors import RunError

if TYPE_CHECKING:
    from ostinato.run import Run


def write_music(run: Run, wanted: Wanted) -> None:
    """Write frames after the prompt (a MIDI file, or a JSON list of lists of pitches) to a MIDI file and show them."""
    from ostinato.data.features.notes import NotesFeature
    from ostinato.data.midi import write_midi
    from ostinato.generation.music import compose, roll_text
    from ostinato.models import NextStep

    beside = run.features.extra
    wanted.refuse("model of music", "top_k", "top_p", "precision", "num", *(() if beside else ("condition",)))
    found = given_of(wanted.condition, tuple(beside), run) if beside else {}
    given = found if isinstance(found, dict) else {next(iter(beside)): found}
    feature = cast("NotesFeature", run.features.input)
    frames = compose(
        cast("NextStep", run.model),
        feature,
        given=given,
        beside=beside,
        prompt=_prompt(wanted.prompt),
        num_frames=wanted.max_new_tokens,
        temperature=wanted.temperature,
        seed=wanted.seed,
    )
    path = wanted.out or run.folder / f"generated-{wanted.seed}.mid"
    if not path.parent.is_dir():
        raise RunError(f"there is no folder `{path.parent}` to write `{path.name}` into.")
    write_midi(frames, path, feature.recipe.frames_per_beat)
    if wanted.json:
        print_json(
            {**({"condition": given} if beside else {}), "frames": frames, "midi": str(path), "seed": wanted.seed}
        )
        return
    print_text(roll_text(frames))
    note(f"written to {path}, {feature.recipe.frames_per_beat} frames a beat")


def _prompt(text: str) -> Any:
    if not text.lstrip().startswith("["):
        return text
    try:
        return json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise RunError(
            f"the prompt is no JSON list of lists of pitches: {text[:60]!r}.", hint="for example [[60, 64, 67], [60]]"
        ) from error
