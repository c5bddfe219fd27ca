"""The runs of a folder, what each takes on disk, and what of it is for resuming alone."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ostinato.errors import RunError
from ostinato.storage.locks import FolderLock, is_held
from ostinato.training.checkpoint import FOLDER
from ostinato.training.places import places_of
from ostinato.training.run_folder import RECIPE_FILE, check_run_folder, read_recipe_of, summary_of


def runs_of(folder: Path) -> dict[str, Path]:
    """All runs of a folder by name: that of their own; a folder of runs may be a run itself."""
    found = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{RECIPE_FILE}"))}
    if (folder / RECIPE_FILE).is_file():
        own = folder.resolve().name
        found = {f"{own} (itself)" if own in found else own: folder, **found}
    return found


def bytes_of(folder: Path) -> int:
    """What a folder takes, links not followed."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())


def data_of(run: Path) -> dict[str, str]:
    """Of the files that a run was trained and validated on, the checksums; of what has none, the name."""
    recipe, places = read_recipe_of(run), places_of(run)
    parts = {part: getattr(recipe.data, part) for part in ("train", "validation")}
    return {part: str(places.get(part, {}).get("sha256") or reference) for part, reference in parts.items()}


@dataclass(frozen=True)
class Spare:
    """A run whose checkpoints can go, and how many bytes these take."""

    name: str
    folder: Path
    num_bytes: int


def spare_checkpoints(folders: Iterable[Path]) -> list[Spare]:
    """What is kept for resuming by runs that have ended, the largest first.

    Args:
        folders: runs, or folders of them. What still trains, or has stopped before its end, keeps all.

    Raises:
        RunError: for a folder that neither is a run nor holds any.
    """
    found = dict[Path, Spare]()
    for folder in folders:
        runs = runs_of(folder)
        if not runs:
            check_run_folder(folder)
        for name, run in runs.items():
            size = bytes_of(run / FOLDER)
            if size and "finished" in summary_of(run) and not is_held(run):
                found[run.resolve()] = Spare(name, run, size)
    return sorted(found.values(), key=lambda one: -one.num_bytes)


def remove_checkpoints(spare: Spare) -> None:
    """Remove them. Raises `RunError` where the run has begun to train again, or can't be written to."""
    with FolderLock(spare.folder):
        try:
            shutil.rmtree(spare.folder / FOLDER)
        except OSError as error:
            raise RunError(f"can't remove `{spare.folder / FOLDER}`: {error.strerror or error}.") from error
