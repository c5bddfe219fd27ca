"""The state explorer over 1,000,000 steps of 256 units, in Chromium: the first pass, opening, scrubbing, and whether
units that were planted are found first.

    python benchmarks/exploring.py [--steps 1000000] [--units 256] [--gates] [--folder /tmp/exploring]

Needs the extra `serve`, Playwright and Chromium. What was made lies in the folder, and is used again.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from playwright.sync_api import Page, sync_playwright
from safetensors.torch import load_file, save_file

import ostinato

PLANTED = {"inside('“', '”')": 7, "since('\\n')": 11, "depth('(', ')')": 3}
SCRUB = """([first, span]) => new Promise((done) => {
  const range = document.querySelector("input[type=range]"), canvas = document.querySelector("canvas");
  const begun = performance.now();
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(range, first);
  range.dispatchEvent(new Event("input", { bubbles: true }));
  const drawn = () => canvas.dataset.drawn === `${first}/${span}`;
  const look = () => (drawn() ? done(performance.now() - begun) : requestAnimationFrame(look));
  look();
})"""
OPENED = """() => new Promise((done) => {
  const drawn = () => document.querySelector("canvas")?.dataset.drawn;
  const look = () => (drawn() ? done(performance.now()) : requestAnimationFrame(look));
  look();
})"""


def text_of(seed: int, size: int) -> str:
    """Letters, brackets, quotes and lines."""
    draw, parts, depth, inside = np.random.default_rng(seed), list[str](), 0, False
    kinds, letters = draw.random(size), draw.choice(list("abcdefgh "), size)
    for kind, letter in zip(kinds.tolist(), letters.tolist(), strict=True):
        if kind < 0.05 and depth < 4:
            letter, depth = "(", depth + 1
        elif kind < 0.10 and depth:
            letter, depth = ")", depth - 1
        elif kind < 0.14:
            letter, inside = "”" if inside else "“", not inside
        elif kind < 0.165:
            letter = "\n"
        parts.append(letter)
    return "".join(parts)


def made(folder: Path, units: int, steps: int) -> ostinato.Run:
    """A language model, hardly trained, three units of which are set by hand; and the text to follow."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "long.txt").write_text(text_of(1, steps))
    run = folder / "runs/planted"
    if not run.is_dir():
        (folder / "train.txt").write_text(text_of(0, 8000))
        settings = [f"model.hidden_size={units}", "model.embedding=one_hot", "model.ngrams=0", "training.epochs=1"]
        ostinato.train(folder / "train.txt", out=run, settings=[*settings, "training.baselines_seconds=0"])
        ids = ostinato.load(run).features.text.vocabulary.ids
        weights = load_file(run / "model.safetensors")
        plant(weights, ids, units)
        save_file(weights, run / "model.safetensors")
        summary = json.loads((run / "summary.json").read_text())
        (run / "summary.json").write_text(json.dumps({k: v for k, v in summary.items() if k != "sha256"}))
    return ostinato.load(run)


def plant(weights: dict[str, torch.Tensor], ids: dict[str, int], units: int) -> None:
    """Unit 3 counts brackets, 7 holds quotes, 11 counts the steps of a line."""
    own = {name.rsplit(".", 1)[1]: one for name, one in weights.items() if name.startswith("encoder.layers.0.")}
    for unit in PLANTED.values():
        for gate in range(4):
            row = gate * units + unit
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
                own[name][row] = 0.0
            own["bias_ih_l0"][row] = 0.0 if gate == 2 else 20.0
    for unit, opening, closing in ((3, "(", ")"), (7, "“", "”")):
        own["weight_ih_l0"][2 * units + unit, ids[opening]] = 0.3
        own["weight_ih_l0"][2 * units + unit, ids[closing]] = -0.3
    own["weight_ih_l0"][units + 11, ids["\n"]] = -40.0
    own["bias_ih_l0"][2 * units + 11] = 0.01


@contextmanager
def page_of(folder: Path) -> Iterator[str]:
    """`ostinato ui` on a folder of runs."""
    command = [sys.executable, "-m", "ostinato", "ui", str(folder), "--no-browser", "--no-token"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"}
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stderr is not None
    try:
        yield next(hit[1] for line in process.stderr if (hit := re.search(r"serving .* at (http://\S+)", line)))
    finally:
        process.kill()
        process.wait()


def figures(seconds: list[float]) -> str:
    """In milliseconds."""
    ordered = sorted(seconds)
    high = ordered[max(0, round(0.95 * len(ordered)) - 1)]
    return f"median {statistics.median(ordered):.0f} ms, 95 % {high:.0f} ms, worst {ordered[-1]:.0f} ms"


def scrubbed(page: Page, steps: int, span: int, rounds: int) -> list[float]:
    """To places chosen at random, whose tiles nobody has seen."""
    draw = np.random.default_rng(span)
    return [page.evaluate(SCRUB, [int(draw.integers(0, steps - span)), span]) for _ in range(rounds)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--units", type=int, default=256)
    parser.add_argument("--gates", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/exploring"))
    given = parser.parse_args()
    run = made(given.folder, given.units, given.steps)
    begun = time.perf_counter()
    track = run.track(given.folder / "long.txt", num_steps=given.steps, gates=given.gates)
    took, memory = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{track.num_steps:,} steps, {len(track.pyramids)} series of {given.units} units: first pass {took:.0f} s, "
        f"{track.facts['bytes'] / 1e9:.2f} GB on disk, at most {memory:.2f} GB in memory"
    )
    for question, unit in PLANTED.items():
        begun = time.perf_counter()
        first = track.exploration.answer(question).units[0]
        print(
            f"{question}: {first.series}[{first.unit}], r = {first.correlation:.3f} (planted: {unit}), "
            f"{time.perf_counter() - begun:.1f} s"
        )
    begun = time.perf_counter()
    track.exploration.nearest(given.steps // 2)
    print(f"nearest moments of all steps: {time.perf_counter() - begun:.1f} s")
    with page_of(given.folder / "runs") as url, sync_playwright() as library:
        browser = library.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        opened = []
        for _ in range(5):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/#/states/planted?track={track.folder.name}")
            opened.append(page.evaluate(OPENED))
            page.close()
        print(f"opens, the server's first: {opened[0]:.0f} ms; then {figures(opened[1:])}")
        for span in (1_000, 30_000, 300_000):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}/#/states/planted?track={track.folder.name}&span={span}")
            page.evaluate(OPENED)
            page.wait_for_timeout(1_000)
            print(f"scrub, {span:,} steps shown: {figures(scrubbed(page, given.steps, span, given.rounds))}")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
