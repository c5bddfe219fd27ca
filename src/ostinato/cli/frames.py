"""`ostinato generate` for models that write frames: curves, music, sound and pictures, drawn, shown and saved."""

from __future__ import annotations

import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ostinato.cli.console import note, print_json, print_text
from ostinato.errors import RunError

if TYPE_CHECKING:
    from ostinato.arrays import Array
    from ostinato.data.features import Feature
    from ostinato.tasks.generation import Generation


def show(beside: Path, found: Generation, out: Path | None, seed: int, json: bool) -> None:
    """Print sequences of frames; save them with --out, or by default, where a terminal can't show them, in `beside`."""
    feature, drawn = cast("Feature", found.feature), found.frames or []
    suffix = feature.usual_suffix
    path = out or (beside / f"generated-{seed}{suffix}" if suffix else None)
    paths = [] if path is None else [_numbered(path, number, len(drawn)) for number in range(len(drawn))]
    said = [save(feature, values, to) for values, to in zip(drawn, paths, strict=False)]
    if json:
        given = {} if found.given is None else {"condition": found.given}
        print_json({**given, **feature.as_json(drawn, paths), "seed": seed})
        return
    for values in drawn:
        print_text(feature.in_words(values))
    for to, about in zip(paths, said, strict=True):
        note(f"written to {to}" + (f", {about}" if about else ""))


def save(feature: Feature, values: Array, path: Path) -> str:
    """Write a sequence of frames as a file of its kind (`Feature.write`), or as JSON.

    Returns:
        A remark on the file, or "".

    Raises:
        RunError: for a missing folder, or a suffix that can't hold them.
    """
    if not path.parent.is_dir():
        raise RunError(f"there is no folder `{path.parent}` to write `{path.name}` into.")
    if path.suffix.lower() != ".json":
        return feature.write(values, path)
    path.write_text(json_module.dumps(feature.known(values)) + "\n", encoding="utf-8")
    return ""


def prompt_of(text: str) -> Any:
    """A path, or the content of a JSON list. Raises `RunError` for an invalid list."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return json_module.loads(text)
    except json_module.JSONDecodeError as error:
        raise RunError(
            f"the prompt is not a JSON list of frames: {text[:60]!r}.",
            hint="for example [[60, 64, 67], [60]] for music, [0.1, 0.2] for numbers",
        ) from error


def _numbered(path: Path, number: int, count: int) -> Path:
    return path if count == 1 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
