"""Checkpoints: everything needed to resume exactly, written atomically; the last ones are kept.

`checkpoint/step-0000001200/` holds `tensors.safetensors` (weights, optimiser, carried states, random generators),
`state.json` (position, schedule), `best.safetensors` (the best weights so far, if there are any) and `manifest.json`,
the checksums of the others. It is written to a temporary folder, flushed to the disk and renamed when it is complete,
so a crash or a full disk leaves earlier ones intact. A folder is never replaced: a second checkpoint of a step (after
its validation, say) is `step-0000001200-1`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import Tensor

from ostinato.errors import CheckpointError, RunError
from ostinato.storage.files import checksum, disk_error, sync_folder
from ostinato.training.run_folder import MODEL_FILE
from ostinato.training.weights import load_tensors

FOLDER = "checkpoint"
_TENSORS, _STATE, _BEST, _MANIFEST = "tensors.safetensors", "state.json", "best.safetensors", "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """What was read: tensors by name, the state, and its folder."""

    tensors: dict[str, Tensor]
    state: dict[str, Any]
    folder: Path
    skipped: tuple[str, ...] = ()
    """Newer checkpoints that were damaged, and why."""

    @property
    def best(self) -> Path | None:
        """The file of the best weights so far, if there were any."""
        path = self.folder / _BEST
        return path if path.is_file() else None


def write_checkpoint(
    run: Path,
    step: int,
    tensors: Mapping[str, Tensor],
    state: Mapping[str, Any],
    best: Path | None = None,
    keep: int = 2,
) -> Path:
    """Write a checkpoint of a run. Raises `CheckpointError` where the disk refuses; older ones are then untouched.

    Args:
        run: the run directory.
        step: steps done.
        tensors: by name.
        state: JSON-ready.
        best: the file of the best weights so far.
        keep: how many checkpoints stay, this one included.
    """
    parent = _parent(run)
    target = parent / _next_name(run, step)
    partial = parent / f".{target.name}.partial"
    try:
        for leftover in parent.glob(".*.partial"):
            shutil.rmtree(leftover, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial / _TENSORS, save({name: t.detach().contiguous().cpu() for name, t in tensors.items()}))
        _write(partial / _STATE, json.dumps(dict(state), indent=1).encode())
        if best is not None:
            _write(partial / _BEST, best.read_bytes())  # a hard link would be damaged together with its twins
        sums = {file.name: checksum(file) for file in sorted(partial.iterdir())}
        _write(partial / _MANIFEST, json.dumps(sums, indent=1).encode())
        sync_folder(partial)
        partial.rename(target)
        sync_folder(parent)
        sync_folder(run)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise disk_error(target, error) from error
    for old in [folder for folder in _all(run) if folder != target][: -(keep - 1) or None]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def read_checkpoint(run: Path) -> Checkpoint:
    """The newest checkpoint that is whole; newer ones that are damaged are put aside as `damaged-…`.

    Raises:
        CheckpointError: if there is none, or `checkpoint` is a symbolic link, which may lead out of the run.
    """
    skipped: list[str] = []
    for folder in reversed(_all(run)):
        try:
            _check(folder)
            state = json.loads((folder / _STATE).read_text())
            found = Checkpoint(load_tensors(folder / _TENSORS), state, folder, tuple(skipped))
        except (OSError, ValueError, KeyError, TypeError, RunError) as error:
            skipped.append(f"{folder.name}: {error}")
            continue
        for newer in _all(run)[len(_all(run)) - len(skipped) :]:
            newer.rename(_free(newer.with_name(f"damaged-{newer.name}")))
        return found
    reasons = "; ".join(skipped)
    if not skipped and (run / MODEL_FILE).is_file():
        raise CheckpointError(
            f"`{run}` has no checkpoints any more: they were removed (`ostinato runs clean`), or left out when it was "
            "packed. It predicts, and can't be resumed."
        )
    raise CheckpointError(
        f"`{run}` has no checkpoint to resume from{': ' + reasons if reasons else ''}.",
        hint=None if skipped else "it stopped before its first step: remove it, and train again",
    )


def _check(folder: Path) -> None:
    """Raise `CheckpointError` unless every file is there and as it was written."""
    if not (folder / _MANIFEST).is_file():
        raise CheckpointError(f"`{_MANIFEST}` is missing.")
    for name, expected in json.loads((folder / _MANIFEST).read_text()).items():
        if not (folder / name).is_file():
            raise CheckpointError(f"`{name}` is missing.")
        if checksum(folder / name) != expected:
            raise CheckpointError(f"`{name}` is damaged: its checksum does not match.")


def _free(path: Path) -> Path:
    """The path, or with the first number behind it that is not taken."""
    number = 0
    while (free := path.with_name(path.name + (f"-{number}" if number else ""))).exists():
        number += 1
    return free


def _all(run: Path) -> list[Path]:
    """Those of a run, in the order in which they were written."""
    return sorted((folder for folder in _parent(run).glob("step-*") if _place(folder)), key=_place)


def _parent(run: Path) -> Path:
    """Where a run's checkpoints stand: inside the run, since old ones are removed there."""
    parent = run / FOLDER
    if parent.is_symlink():
        raise CheckpointError(
            f"`{parent}` is a symbolic link: checkpoints are read and written only inside the run directory.",
            hint="move the folder it leads to into the run directory, in place of the link",
        )
    return parent


def _place(folder: Path) -> tuple[int, ...]:
    """The numbers in a name: the step and, of a second checkpoint there, which one it is; none in a foreign name."""
    numbers = folder.name.split("-")[1:]
    return tuple(map(int, numbers)) if all(map(str.isdigit, numbers)) else ()


def _next_name(run: Path, step: int) -> str:
    """A name behind those of the checkpoints that this step has: the newest is never removed, so a number is free."""
    last = max((place for place in map(_place, _all(run)) if place[0] == step), default=None)
    return f"step-{step:010d}" + (f"-{(last[1] if len(last) > 1 else 0) + 1}" if last else "")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
