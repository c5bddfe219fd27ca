"""Where the files of a run's data lie: as they were named, from the root, and from the run, so that either may move."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from ostinato.recipe import Recipe
from ostinato.storage.files import checksum, read_json, write_atomically

PLACES_FILE = "files.json"
_PARTS = ("train", "validation", "test")
_MOST_BYTES = 1 << 30
"""Larger files get no checksum."""


def note_places(folder: Path, recipe: Recipe) -> None:
    """Write down where the data of a run lie. Data sets of the catalogue have no place."""
    found = dict[str, Any]()
    for part in _PARTS:
        reference = getattr(recipe.data, part)
        path = path_of(reference)
        if path is not None and path.exists():
            absolute = path.absolute()
            found[part] = {
                "named": reference,
                "absolute": str(absolute),
                "relative": os.path.relpath(absolute, folder.absolute()),
                "sha256": checksum(path) if path.is_file() and path.stat().st_size <= _MOST_BYTES else None,
            }
    write_atomically(folder / PLACES_FILE, json.dumps(found, indent=1, ensure_ascii=False).encode())


def moved_in(recipe: Recipe, given: Path, folder: Path) -> Recipe:
    """The recipe with its data that lie in the folder `given`, tables that were given in memory, moved into a run."""
    moved = dict[str, str]()
    for part in _PARTS:
        path = path_of(getattr(recipe.data, part))
        if path is not None and path.parent == given:
            moved[part] = str(folder / path.name)
            shutil.move(path, folder / path.name)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=moved)}) if moved else recipe


def found_again(folder: Path, recipe: Recipe) -> Recipe:
    """The recipe with its data where they are now: as named, else beside the run as they were, else where they lay."""
    moved = dict[str, str]()
    for part, place in places_of(folder).items():
        reference = getattr(recipe.data, part)
        path = path_of(reference)
        if path is None or path.exists() or place.get("named") != reference:
            continue
        candidates = [folder / str(place.get("relative")), Path(str(place.get("absolute")))]
        there = next((one for one in candidates if one.exists()), None)
        if there is not None:
            moved[part] = os.path.normpath(there) + str(reference)[len(str(path)) :]
    return recipe.model_copy(update={"data": recipe.data.model_copy(update=moved)}) if moved else recipe


def part_of_training(folder: Path, reference: str) -> str | None:
    """Which part of a run's training a file is, byte for byte: `train` or `validation`; None where it is neither."""
    path = path_of(reference)
    if path is None or not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return None
    known = {place.get("sha256"): part for part, place in places_of(folder).items() if part != "test"}
    return known.get(checksum(path)) if any(known) else None


def places_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Of each part of a run's data that is a file: how it was named, where it lay, and its checksum."""
    path = folder / PLACES_FILE
    found = read_json(path) if path.is_file() else {}
    return {part: place for part, place in found.items() if part in _PARTS and isinstance(place, dict)}


def path_of(reference: object) -> Path | None:
    """The file of a reference, `rows.zip#a.csv` for example; None for a share of the rows, or nothing."""
    if not isinstance(reference, str):
        return None
    return Path(reference) if Path(reference).exists() else Path(reference.partition("#")[0])
