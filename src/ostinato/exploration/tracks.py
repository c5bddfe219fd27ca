"""Tracks beside a run: written once in bounded memory, kept within a bound, tied to the run's weights."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypedDict

import numpy as np

from ostinato.data.dataset import Examples
from ostinato.errors import DataError
from ostinato.exploration.exploring import first_steps
from ostinato.exploration.track import FACTS_FILE, Track, facts_of
from ostinato.exploration.track_files import BEGUN, TRACKS_FOLDER, remove_stale
from ostinato.exploration.track_writer import Writer
from ostinato.storage.files import disk_error, write_atomically
from ostinato.tasks.generation import OpenRun
from ostinato.training.run_folder import checksums

LIMIT_BYTES = 16 << 30
NUM_STEPS = 1_000_000
_VERSION = 2


class Tracking(TypedDict, total=False):
    """Options of a track; see `track_run`."""

    num_steps: int
    gates: bool
    dtype: Literal["float16", "float32"]
    limit_bytes: int
    say: Callable[[str], None]
    progress: Callable[[int, int], None]


def weights_key(folder: Path) -> str:
    """Of all that a run's answers come from."""
    return hashlib.sha256(json.dumps(checksums(folder), sort_keys=True).encode()).hexdigest()


def tracks_of(folder: Path) -> list[Track]:
    """The complete tracks of a run's present weights, the newest first."""
    weights, found = weights_key(folder), list[Track]()
    for place in sorted((folder / TRACKS_FOLDER).glob("[!.]*")):
        facts = facts_of(place)
        if facts is not None and (facts.get("version"), facts.get("weights")) == (_VERSION, weights):
            found.append(Track(place, facts))
    return sorted(found, key=lambda one: str(one.facts["made"]), reverse=True)


def track_run(
    run: OpenRun,
    data: str | Path | None = None,
    *,
    num_steps: int = NUM_STEPS,
    gates: bool = True,
    dtype: Literal["float16", "float32"] = "float16",
    limit_bytes: int = LIMIT_BYTES,
    say: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Track:
    """States, gates and surprise at each of many steps, in files beside the run; one that is there already is opened.

    A network that reads forward is followed in pieces, so that memory grows with neither the data nor a row; one of
    both directions takes a row whole. Where all tracks of the run would take more than `limit_bytes`, those that were
    opened longest ago go.

    Args:
        run: opened by `ostinato.load`.
        data: a file or catalogue name, read as the run's own data were; default: its validation data.
        num_steps: so many steps, of as many rows as that takes, >= 1; the last row is cut.
        gates: whether gates are kept, too: they take most of the space.
        dtype: of what is kept; surprise is float32 always.
        limit_bytes: of the files of all tracks of the run.
        say: called with messages on what is read.
        progress: called with steps that are done, and how many there are; what it raises ends the work.

    Raises:
        RecipeError: for a number out of range, or a track that is larger than the limit by itself.
        RunError: for a model without an encoder that reads its input.
        DataError: for data that can't be used.
        CheckpointError: where the disk refuses.
    """
    examples = first_steps(run, data, num_steps, say)
    return track_examples(
        run, examples, str(data or "validation"), gates=gates, dtype=dtype, limit_bytes=limit_bytes, progress=progress
    )


def track_examples(
    run: OpenRun,
    examples: Examples,
    name: str,
    *,
    gates: bool = True,
    dtype: Literal["float16", "float32"] = "float16",
    limit_bytes: int = LIMIT_BYTES,
    progress: Callable[[int, int], None] = lambda _, __: None,
) -> Track:
    """As `track_run`, of rows that are encoded; `name` is what they are called."""
    if not len(examples.sequences.values):
        raise DataError("a row with at least one step was expected. Received: none.")
    weights, home = weights_key(run.folder), run.folder / TRACKS_FOLDER
    key = _key(weights, examples, gates, dtype)
    facts = facts_of(home / key)
    if facts is not None and facts.get("version") == _VERSION:
        os.utime(home / key)
        return Track(home / key, facts)
    try:
        home.mkdir(exist_ok=True)
        remove_stale(home)
        partial = Path(tempfile.mkdtemp(prefix=BEGUN, dir=home))
        try:
            written = Writer(partial, run, examples, gates, dtype, limit_bytes, home, progress).write()
            facts = {"version": _VERSION, "weights": weights, "data": name, **written}
            write_atomically(partial / FACTS_FILE, json.dumps(facts).encode())
            shutil.rmtree(home / key, ignore_errors=True)
            partial.rename(home / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    except OSError as error:
        raise disk_error(home, error) from error
    return Track(home / key, facts)


def _key(weights: str, examples: Examples, gates: bool, dtype: str) -> str:
    parts = (examples.sequences, *examples.extra.values())
    found = hashlib.sha256(f"{_VERSION} {weights} {gates} {dtype}".encode())
    for part in parts:
        found.update(np.ascontiguousarray(part.values).data)
        found.update(np.ascontiguousarray(part.offsets).data)
    return found.hexdigest()[:16]
