"""A run packed to be shared: what its answers come from, and no more."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import RunError
from ostinato.shelf.folders import bytes_of
from ostinato.storage.files import unused, write_atomically
from ostinato.training.places import PLACES_FILE, places_of
from ostinato.training.run_folder import (
    DATA_FILE,
    DECISIONS_FILE,
    FEATURES_FILE,
    MODEL_FILE,
    RECIPE_FILE,
    SUMMARY_FILE,
    check_run_folder,
    check_unchanged,
    check_weights,
)
from ostinato.wording import option

_TAKEN = (RECIPE_FILE, FEATURES_FILE, MODEL_FILE, DECISIONS_FILE, SUMMARY_FILE, DATA_FILE)
_WHEN = (1980, 1, 1, 0, 0, 0)
"""Of every member, so that the same run makes the same file."""


@dataclass(frozen=True)
class Packed:
    """Where a run has been packed to, and the bytes of both."""

    path: Path
    before: int
    after: int


def pack(folder: Path, out: Path | None = None) -> Packed:
    """What a run's answers come from, in a .zip file, or in a directory: no checkpoints, logs, reports or tracks.

    Either predicts, generates, is evaluated and served as the run is, byte for byte; it can't be resumed.

    Args:
        folder: of the run.
        out: a path that ends in .zip, or that of a directory; default: the run's name with .zip, in the working
            directory.

    Raises:
        RunError: if it is no run, has no weights yet, is damaged, or `out` is there already.
    """
    check_run_folder(folder)
    check_weights(folder)
    check_unchanged(folder)
    path = out or Path(f"{folder.resolve().name}.zip")
    if path.exists():
        raise RunError(f"`{path}` already exists.", hint=f"another: {option('--out', unused(path))}")
    taken = {name: (folder / name).read_bytes() for name in _TAKEN if (folder / name).is_file()}
    taken[PLACES_FILE] = json.dumps(
        {part: {"sha256": one["sha256"]} for part, one in places_of(folder).items()}
    ).encode()
    if path.suffix.lower() == ".zip":
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, _zipped(folder.resolve().name, taken))
        return Packed(path, bytes_of(folder), path.stat().st_size)
    path.mkdir(parents=True)
    for name, content in taken.items():
        (path / name).write_bytes(content)
    return Packed(path, bytes_of(folder), bytes_of(path))


def _zipped(name: str, files: Mapping[str, bytes]) -> bytes:
    """The files in a directory of that name."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for file, content in files.items():
            member = zipfile.ZipInfo(f"{name}/{file}", _WHEN)
            member.external_attr = 0o644 << 16
            archive.writestr(member, content, zipfile.ZIP_DEFLATED, 9)
    return made.getvalue()
