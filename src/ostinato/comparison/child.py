"""One run of a comparison, in a process of its own, so that its time and memory are its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from ostinato.errors import RunError
from ostinato.recipe import Recipe, build_recipe, dump_recipe, read_recipe
from ostinato.storage.files import read_json, unused, write_atomically
from ostinato.training.train import has_ended
from ostinato.wording import option

COST_FILE = "cost.json"
_TAIL_LINES = 6


@dataclass(frozen=True)
class Cost:
    """Of a process from its start to its end: processor seconds of all threads, largest resident memory in bytes."""

    cpu_s: float
    peak_bytes: int


def run_child(recipe: Recipe, folder: Path) -> Cost:
    """Train a run, or resume an interrupted one; a finished run is not repeated.

    Raises:
        RunError: if the process fails, with the last lines it wrote; or if the folder holds a run of another recipe.
    """
    cost, path = folder.parent / f"{folder.name}.{COST_FILE}", folder.parent / f"{folder.name}.yaml"
    if path.is_file() and build_recipe(read_recipe(path)) != recipe:
        raise RunError(f"`{folder}` holds a run of another recipe.", hint=option("--out", unused(folder.parent)))
    if (folder / "checkpoint").is_dir():
        if has_ended(folder) and cost.is_file():
            return Cost(**read_json(cost))
        arguments = ["--resume", str(folder)]
    else:
        folder.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, dump_recipe(recipe).encode())
        arguments = ["--recipe", str(path), "--out", str(folder)]
    before = Cost(**read_json(cost)) if cost.is_file() else Cost(0.0, 0)
    found = _measured(
        [sys.executable, "-P", "-m", "ostinato", "train", *arguments], folder.parent / f"{folder.name}.log"
    )
    total = Cost(before.cpu_s + found.cpu_s, max(before.peak_bytes, found.peak_bytes))
    write_atomically(cost, json.dumps(asdict(total)).encode())
    return total


def _measured(command: list[str], log: Path) -> Cost:
    with log.open("ab") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except KeyboardInterrupt:  # the child got it, too, and leaves a checkpoint
            os.wait4(child.pid, 0)
            raise
    code = os.waitstatus_to_exitcode(status)
    child.returncode = code
    if code != 0:
        tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
        raise RunError(f"a run of the comparison failed (`{log}`):\n{tail}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
