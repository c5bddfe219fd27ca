"""Checkpoints: everything needed to go on exactly, written whole or not at all, the last ones kept.

`checkpoint/step-0000001200/` holds `tensors.safetensors` (weights, optimiser, carried states, random generators),
`state.json` (position, schedule, checksum of the tensors) and `best.safetensors` (the best weights so far).
A checkpoint is written to a folder beside its place and renamed when it is complete, so a crash or a full disk leaves
the previous one as it was.
"""

from __future__ import annotations

import hashlib
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
from ostinato.storage.files import disk_error
from ostinato.training.weights import load_tensors

FOLDER = "checkpoint"
_KEPT = 2
_TENSORS, _STATE, _BEST = "tensors.safetensors", "state.json", "best.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """What was read: tensors by name, the state, and the folder it stands in."""

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


def write_checkpoint(run: Path, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> Path:
    """Write a checkpoint of a run. Raises `CheckpointError` where the disk refuses; older ones are then untouched."""
    parent = run / FOLDER
    target = parent / f"step-{step:010d}"
    partial = parent / f".{target.name}.partial"
    content = save({name: tensor.detach().contiguous().cpu() for name, tensor in tensors.items()})
    saved = {**state, "sha256": hashlib.sha256(content).hexdigest()}
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial / _TENSORS, content)
        _write(partial / _STATE, json.dumps(saved, indent=1).encode())
        if (run / "model.safetensors").is_file():
            _link_or_copy(run / "model.safetensors", partial / _BEST)
        shutil.rmtree(target, ignore_errors=True)
        partial.rename(target)
        _sync_folder(parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise disk_error(target, error) from error
    for old in _all(run)[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def read_checkpoint(run: Path) -> Checkpoint:
    """The newest checkpoint that is whole. Raises `RunError` if there is none."""
    skipped: list[str] = []
    for folder in reversed(_all(run)):
        try:
            state = json.loads((folder / _STATE).read_text())
            content = (folder / _TENSORS).read_bytes()
            if hashlib.sha256(content).hexdigest() != state["sha256"]:
                raise CheckpointError(f"`{folder}` is damaged: its checksum does not match.")
            return Checkpoint(load_tensors(folder / _TENSORS), state, folder, tuple(skipped))
        except (OSError, ValueError, KeyError, RunError) as error:
            skipped.append(f"{folder.name}: {error}")
    reasons = "; ".join(skipped)
    raise CheckpointError(f"`{run}` has no checkpoint to resume from{': ' + reasons if reasons else ''}.")


def _all(run: Path) -> list[Path]:
    return sorted((run / FOLDER).glob("step-*"))


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as out:
        out.write(content)
        out.flush()
        os.fsync(out.fileno())


def _link_or_copy(source: Path, target: Path) -> None:
    """`model.safetensors` is only ever replaced, never written into, so a second name for it costs nothing."""
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copyfile(source, target)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
