"""`ostinato generate` for models that write frames: curves, music, sound and pictures, drawn, shown and saved."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ostinato.cli.console import note, print_json, print_text
from ostinato.errors import RunError

if TYPE_CHECKING:
    from ostinato.arrays import Array
    from ostinato.data.features import Feature
    from ostinato.data.features.audio import AudioFeature
    from ostinato.data.features.video import VideoFeature
    from ostinato.run import Run
    from ostinato.tasks.generation import Generation

_BARS = "▁▂▃▄▅▆▇█"
_COLUMNS = 64
_FRAMES_PER_SECOND = 10.0
"""Of pictures, where the recipe doesn't say."""
_MOST_CHANNELS = 4
_USUAL_SUFFIX = {"notes": ".mid", "audio": ".wav", "video": ".gif"}
"""Of a file that is written where nobody names one; numbers are only shown."""
_MIDI = (".mid", ".midi")


def show(run: Run, found: Generation, out: Path | None, seed: int, json: bool) -> None:
    """Print sequences of frames, and save them where a file is asked for, or a person would want one."""
    feature, drawn = cast("Feature", found.feature), found.frames or []
    suffix = _USUAL_SUFFIX.get(feature.kind)
    path = out or (run.folder / f"generated-{seed}{suffix}" if suffix else None)
    paths = [] if path is None else [_numbered(path, number, len(drawn)) for number in range(len(drawn))]
    for values, to in zip(drawn, paths, strict=False):
        save(feature, values, to)
    if json:
        given = {} if found.given is None else {"condition": found.given}
        files = {"files": [str(to) for to in paths]} if paths else {}
        if feature.kind == "notes" and len(drawn) == 1:
            print_json({**given, "frames": known(feature, drawn[0]), "midi": str(paths[0]), "seed": seed})
            return
        print_json({**given, "sequences": [known(feature, values) for values in drawn], **files, "seed": seed})
        return
    for values in drawn:
        print_text(in_words(feature, values))
    for to in paths:
        beats = f", {feature.recipe.frames_per_beat} frames a beat" if feature.kind == "notes" else ""
        note(f"written to {to}{beats}")


def in_words(feature: Feature, values: Array) -> str:
    """A sequence of frames as text: a piano roll, or a line of bars for each of the first channels."""
    from ostinato.tasks.next_step.sampling import roll_text

    decoded = known(feature, values)
    if feature.kind == "notes":
        return roll_text(decoded)
    if feature.kind == "video":
        return f"{len(values)} pictures"
    rows = np.asarray(decoded, dtype=np.float64).reshape(len(decoded), -1)
    lines = [f"{_bars(rows[:, k])}  {rows[:, k].min():.3g} to {rows[:, k].max():.3g}" for k in range(rows.shape[1])]
    more = [f"… and {len(lines) - _MOST_CHANNELS} further channels"] if len(lines) > _MOST_CHANNELS else []
    return "\n".join([f"{len(rows)} {feature.step_noun}s", *lines[:_MOST_CHANNELS], *more])


def save(feature: Feature, values: Array, path: Path) -> None:
    """A sequence of frames as a file of its kind; of numbers a CSV file, a row a step, or JSON.

    Raises:
        RunError: for a folder that is not there, or a suffix that can't hold them.
    """
    if not path.parent.is_dir():
        raise RunError(f"there is no folder `{path.parent}` to write `{path.name}` into.")
    decoded = known(feature, values)
    suffix = path.suffix.lower()
    if suffix == ".json":
        path.write_text(json_module.dumps(decoded) + "\n", encoding="utf-8")
    elif feature.kind == "notes":
        if suffix not in _MIDI:
            raise RunError(f"music is written to {', '.join(_MIDI)} or .json. Received: {path.name}.")
        from ostinato.media.midi import write_midi

        write_midi(decoded, path, feature.recipe.frames_per_beat)
    elif feature.kind == "audio":
        from ostinato.media.audio_out import write_sound

        samples, rate = cast("AudioFeature", feature).sound(values)
        write_sound(path, samples, rate)
    elif feature.kind == "video":
        from ostinato.media.video_out import write_video

        write_video(path, cast("VideoFeature", feature).pictures(values), feature.recipe.fps or _FRAMES_PER_SECOND)
    elif suffix == ".csv":
        rows = np.asarray(decoded, dtype=np.float64).reshape(len(decoded), -1)
        names = ",".join(["value"] if rows.shape[1] == 1 else [f"value_{k + 1}" for k in range(rows.shape[1])])
        np.savetxt(path, rows, delimiter=",", header=names, comments="", fmt="%.9g")
    else:
        raise RunError(f"numbers are written to .csv or .json. Received: {path.name}.")


def known(feature: Feature, values: Array) -> list[Any]:
    """A sequence as a user knows it."""
    from ostinato.tasks.frames.sampling import known as as_known

    return as_known(feature, values)


def prompt_of(text: str) -> Any:
    """A path, or what a JSON list holds. Raises `RunError` for text that begins as a list and is none."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise RunError(
            f"the prompt is no JSON list of frames: {text[:60]!r}.",
            hint="for example [[60, 64, 67], [60]] for music, [0.1, 0.2] for numbers",
        ) from error


def _numbered(path: Path, number: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")


def _bars(values: Array) -> str:
    """A bar a step, or a stretch of steps."""
    parts = np.array_split(values, min(len(values), _COLUMNS))
    means = np.asarray([part.mean() for part in parts])
    low, high = float(means.min()), float(means.max())
    levels = ((means - low) / (high - low or 1.0) * (len(_BARS) - 1)).round().astype(int)
    return "".join(_BARS[level] for level in levels)
