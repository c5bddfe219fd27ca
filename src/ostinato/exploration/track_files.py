"""Files of tracks beside a run: kept within a bound, and removed."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from ostinato.errors import RecipeError

TRACKS_FOLDER = "tracks"
BEGUN = "."
"""What the name of a track begins with that is being written."""
_STALE_S = 24 * 3600


def drop_track(folder: Path, key: str) -> bool:
    """Remove a track of a run; whether there was one."""
    place = folder / TRACKS_FOLDER / key
    there = key.isalnum() and place.is_dir()
    if there:
        shutil.rmtree(place, ignore_errors=True)
    return there


def remove_stale(home: Path) -> None:
    """Remove what a process left behind that was killed while it wrote a track."""
    for left in home.glob(f"{BEGUN}*"):
        if left.is_dir() and time.time() - left.stat().st_mtime > _STALE_S:
            shutil.rmtree(left, ignore_errors=True)


def make_room(home: Path, needed: int, limit: int) -> None:
    """Remove the tracks that were opened longest ago, until so many bytes more are within the limit.

    Raises:
        RecipeError: where they alone are beyond it.
    """
    if needed > limit:
        raise RecipeError(
            f"the states of these steps would take {needed / 2**30:.2f} GB, more than the {limit / 2**30:.2f} GB that "
            "tracks of a run may take.",
            hint="read fewer steps, `--steps`, or leave the gates out, `--no-gates`",
        )
    kept = [(place.stat().st_mtime, bytes_of(place), place) for place in home.glob("[!.]*") if place.is_dir()]
    total = sum(size for _, size, _ in kept)
    for _, size, place in sorted(kept):
        if total + needed <= limit:
            return
        shutil.rmtree(place, ignore_errors=True)
        total -= size


def bytes_of(place: Path) -> int:
    """Of all files of a track."""
    return sum(file.stat().st_size for file in place.iterdir())
