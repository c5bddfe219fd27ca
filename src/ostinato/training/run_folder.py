"""The files of a run directory, and its recipe."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ostinato.data.inference.applicability import saved_recipe
from ostinato.data.rejects import counted
from ostinato.errors import FolderInUseError, RecipeError, RunError
from ostinato.recipe import Recipe, migrated, read_recipe
from ostinato.storage.files import checksum, read_json, unused
from ostinato.storage.locks import FolderLock
from ostinato.storage.log import read_log
from ostinato.storage.unpack import is_archive, unpacked
from ostinato.training.places import found_again
from ostinato.wording import command, meant, option, set_options

RECIPE_FILE, FEATURES_FILE, SUMMARY_FILE, DATA_FILE = "recipe.yaml", "features.json", "summary.json", "data.json"
MODEL_FILE, LOG_FILE, EVALUATION_FILE = "model.safetensors", "log.jsonl", "evaluation.json"
_USUAL_FOLDER = "runs"
DECISIONS_FILE, VALIDATED_FILE = "decisions.json", "validated.safetensors"

logger = logging.getLogger("ostinato")

_SAID: set[tuple[Path, str]] = set()
"""What was said of runs with options that nothing reads: once each."""


def read_recipe_of(folder: Path) -> Recipe:
    """The resolved recipe of a run. Raises `RunError` if the directory is no run, or its recipe is damaged."""
    check_run_folder(folder)
    path = folder / RECIPE_FILE
    try:
        recipe, unread = saved_recipe(migrated(read_recipe(path)))
    except RecipeError as error:
        raise RunError(f"`{path}` is damaged: {error.message}") from error
    said = ", ".join(f"{key} ({value!r})" for key, value in unread.items())
    if said and (path, said) not in _SAID:
        _SAID.add((path, said))
        logger.warning("`%s` holds options that nothing reads, in its training neither; ignored: %s", path, said)
    if recipe.model.undecided:
        raise RunError(f"`{path}` is damaged: it does not say what the model is.")
    return found_again(folder, recipe)


def run_at(path: Path) -> Path:
    """The directory of a run: `path` itself, or where a packed one (`ostinato pack`) is unpacked to, until the process
    ends. Raises `DataError` for an archive that can't be unpacked."""
    if not (path.is_file() and is_archive(path)):
        return path
    folder = unpacked(path)
    inner = [one.parent for one in folder.glob(f"*/{RECIPE_FILE}")]
    return inner[0] if len(inner) == 1 else folder


def check_run_folder(folder: Path) -> None:
    """Raise `RunError` unless `folder` looks like a run directory."""
    if folder.is_file() and is_archive(folder):
        raise RunError(
            f"a run directory was expected. Received: the archive `{folder}`: it predicts, generates, is evaluated and "
            "served as it is, and must be unpacked for all else.",
        )
    if not folder.is_dir():
        places = (folder.parent, folder.parent / _USUAL_FOLDER)
        parent = next((one for one in places if any(one.glob(f"*/{RECIPE_FILE}"))), folder.parent)
        near = sorted(path.parent.name for path in parent.glob(f"*/{RECIPE_FILE}"))
        there = f" Runs in {parent}: {', '.join(near[:10])}." if near else ""
        found = near and (str(folder), str(parent / (meant(folder.name, near) or ("", near[0]))[1]))
        raise RunError(f"no run directory `{folder}`.{there}", instead=found or None)
    missing = [name for name in (RECIPE_FILE, FEATURES_FILE) if not (folder / name).is_file()]
    if missing:
        raise RunError(
            f"`{folder}` is not an Ostinato run: {', '.join(missing)} missing.",
            hint="if its training was killed before its first step: remove it, and train again",
        )


def check_weights(folder: Path) -> None:
    """Raise `RunError` for a run that has no weights yet."""
    if not (folder / MODEL_FILE).is_file():
        raise RunError(
            f"`{folder}` has no {MODEL_FILE}: training stopped before the first validation.",
            hint=f"resume with: {command('train', '--resume', folder)}",
        )


def checksums(folder: Path) -> dict[str, str]:
    """What a summary says of the files that predictions come from."""
    names = (MODEL_FILE, FEATURES_FILE, DECISIONS_FILE, VALIDATED_FILE)
    return {name: checksum(folder / name) for name in names if (folder / name).is_file()}


def decisions_of(folder: Path) -> dict[str, Any]:
    """How its model's outputs become answers, as `TaskSpec.decide_as` takes it; empty where nothing was decided."""
    found = read_json(folder / DECISIONS_FILE, missing_ok=True)
    if "ngram_share" in found:  # what version 0.1 calls it
        found["linear_share"] = found["ngram_share"]
    return {key: found[key] for key in ("temperature", "threshold", "linear_share", "members") if key in found}


def summary_of(folder: Path) -> dict[str, Any]:
    """What training ended with; empty while it has not ended."""
    return read_json(folder / SUMMARY_FILE, missing_ok=True)


def kept_so_far(folder: Path) -> str | None:
    """Which weights a run holds whose training has not ended, in words; None before its first validation."""
    found = read_log(folder / LOG_FILE)[1] if (folder / MODEL_FILE).is_file() else []
    if not found:
        return None
    training = read_recipe_of(folder).training
    which = "last" if training.keep == "last" else "best"
    kept = found[-1] if which == "last" else next((one for one in reversed(found) if one["best"]), found[-1])
    figure = training.monitor
    said = f"{figure.replace('_', ' ')} {kept[figure]:.4g}, after {counted(kept['step'], 'step')}"
    return f"the {which} weights so far, validation {said}"


def check_unchanged(folder: Path) -> None:
    """Raise `RunError` for a file that is not as training left it; runs of version 0.1 hold no checksums."""
    expected = summary_of(folder).get("sha256", {})
    for name, found in checksums(folder).items() if isinstance(expected, Mapping) and expected else ():
        if expected.get(name) != found:
            again = command("train", "--resume", folder, *set_options(read_recipe_of(folder).training.longer()))
            raise RunError(
                f"`{folder / name}` has changed since training: its checksum is not the one in {SUMMARY_FILE}.",
                hint=f"if that was meant: remove `sha256` from {SUMMARY_FILE}; otherwise continue from its checkpoint: "
                f"{again}",
            )


def new_run_folder(out: Path | None, name: str) -> FolderLock:
    """The new run directory, empty and held. Raises `RunError` where another process was faster at `out`."""
    if out is not None:
        lock = FolderLock(out)
        if lock.is_empty:
            return lock
        lock.close()
        raise taken(out)
    for number in itertools.count(1):
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if folder.exists() and not folder.is_dir():
            continue
        with suppress(FolderInUseError):
            lock = FolderLock(folder)
            if lock.is_empty:
                break
            lock.close()
    return lock


def taken(out: Path) -> RunError:
    """The error for a run directory that is there already."""
    return RunError(
        f"`{out}` already exists.",
        hint=f"another: {option('--out', unused(out))}; resume it: {command('train', '--resume', out)}",
    )
