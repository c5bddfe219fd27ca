"""How many kills a run survives: `ostinato train` on The Mysterious Island, killed at random, resumed, killed again.

    python benchmarks/kills.py [--kills 100] [--seed 0] [--epochs 2] [--report FILE.md]

Every life is a process of its own, started from the command line as a user starts it, and gets SIGKILL after a random
time between nothing (it is still importing) and a little more than what the whole run takes. When all kills are spent
the run is resumed to its end. Then the finished model, the log and the summary are compared with those of a run that
nothing disturbed: a kill is survived if the run it fell into ended with the same bytes. A run that ends before the
kills are spent is compared, and the next begins. Kills at every single change to the disk, and power cuts, are what
tests/property/test_kills.py does.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

CLOCKS = {"tokens_per_s", "elapsed_s", "finished", "seconds"}
SETTINGS = (
    *("features.input.unit=characters", "model.hidden_size=64", "model.hidden_dropout=0.1", "model.embedding_dim=32"),
    *("training.batch_size=32", "training.bptt={window: 64, backprop: 96}", "training.schedule=cosine"),
    *("training.clip=adaptive", "training.checkpoint_steps=20", "training.num_threads=1"),
)


@dataclass(frozen=True)
class Ended:
    """How a process ended: killed, or with a code and its last words."""

    killed: bool
    code: int
    words: str


def ostinato(*arguments: str, kill_after_s: float | None = None) -> Ended:
    """Run the command, perhaps not to its end."""
    command = [sys.executable, "-m", "ostinato", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            _, words = process.communicate(timeout=kill_after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return Ended(True, process.returncode, "")
        return Ended(False, process.returncode, words[-2000:])


def result(run: Path) -> tuple[bytes, list[dict[str, Any]], dict[str, Any]]:
    """The weights, the log and the summary, without what clocks say."""

    def timeless(content: str) -> dict[str, Any]:
        return {key: value for key, value in json.loads(content).items() if key not in CLOCKS}

    log = [timeless(line) for line in (run / "log.jsonl").read_text().splitlines()]
    return (run / "model.safetensors").read_bytes(), log, timeless((run / "summary.json").read_text())


def begin(folder: Path, text: Path, epochs: int) -> list[str]:
    """The arguments that begin a run."""
    flags = [part for setting in (*SETTINGS, f"training.epochs={epochs}") for part in ("--set", setting)]
    return ["train", str(text), "--out", str(folder), *flags]


def main() -> None:
    """Kill, compare, print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--characters", type=int, default=200_000)
    parser.add_argument("--report", type=Path)
    options = parser.parse_args()
    from ostinato.data.catalog import find

    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        text = place / "island.txt"
        text.write_text(find("mysterious-island", "train").read_text(encoding="utf-8")[: options.characters])
        for name in ("cold", "whole"):  # the second is timed: files are read from memory from then on
            began = time.monotonic()
            whole = ostinato(*begin(place / name, text, options.epochs))
            seconds = time.monotonic() - began
            if whole.code:
                raise SystemExit(whole.words)
        expected = result(place / "whole")
        report = kill_runs(place, text, expected, seconds, options)
    sys.stdout.write(report)
    if options.report:
        options.report.write_text(report, encoding="utf-8")


def kill_runs(
    place: Path, text: Path, expected: tuple[bytes, Any, Any], seconds: float, options: argparse.Namespace
) -> str:
    """One run after the other until the kills are spent; the report."""
    chance = random.Random(options.seed)
    killed = survived = runs = early = 0
    while killed < options.kills:
        folder = place / f"run-{runs}"
        runs += 1
        in_this_run = 0
        arguments = begin(folder, text, options.epochs)
        while True:
            kill_after_s = chance.uniform(0.0, 1.05 * seconds) if killed < options.kills else None
            ended = ostinato(*arguments, kill_after_s=kill_after_s)
            if ended.killed:
                killed, in_this_run = killed + 1, in_this_run + 1
            elif ended.code == 0 or "has ended" in ended.words:
                break
            elif "before its first step" in ended.words and not list(folder.glob("checkpoint/step-*")):
                early += 1
                shutil.rmtree(folder)
            else:
                sys.stderr.write(ended.words)
                break
            arguments = ["train", "--resume", str(folder)] if folder.exists() else begin(folder, text, options.epochs)
        same = (folder / "summary.json").is_file() and result(folder) == expected
        survived += in_this_run if same else 0
        sys.stderr.write(f"run {runs}: {in_this_run} kills, {'the same bytes' if same else 'NOT the same'}\n")
    steps = expected[2]["steps"]
    return (
        f"# Kills survived\n\n{survived} of {killed} kills survived, in {runs} runs of {steps} steps "
        f"({seconds:.0f} s each from start to report; a checkpoint every 20 steps), seed {options.seed}. "
        f"{early} times nothing was there yet to resume from.\n\n"
        f"`python benchmarks/kills.py --kills {options.kills} --seed {options.seed} --epochs {options.epochs} "
        f"--characters {options.characters}` · "
        f"torch {torch.__version__}, {platform.machine()}, {os.cpu_count()} cores\n"
    )


if __name__ == "__main__":
    main()
