"""Memory while data is read, split and encoded, by the size of the file.

    python benchmarks/data_memory.py [--megabytes 25,100,200] [--shapes sessions,series,many,lists,tags] [--folder DIR]

Each in a process of its own, on files made for it: `sessions` a long table, a row a step, of sessions that stand mixed;
`series` one long series of seven channels for a forecaster, `many` series by name that stand mixed, `lists` a series a
row, `tags` words with tags in CoNLL columns. `private` is the peak of memory that only this process can hold
(RssAnon), `resident` that of all memory (VmHWM), with pages of temporary files that the system may drop at any time.
`began` is what the process held before it read anything.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

Rows = Iterator[str]


def sessions(rng: np.random.Generator) -> Rows:
    """200 sessions at a time, 100 steps each, one step of each in turn."""
    first = 0
    yield "id,t,x,y,z,label\n"
    while True:
        for step in range(100):
            numbers = rng.normal(size=(200, 3)).round(4)
            yield "".join(f"s{first + i},{step},{x},{y},{z},{(first + i) % 3}\n" for i, (x, y, z) in enumerate(numbers))
        first += 200


def series(rng: np.random.Generator) -> Rows:
    """Seven channels, a step a minute."""
    minute = 0
    yield "date,a,b,c,d,e,f,g\n"
    while True:
        stamps = np.datetime64("2001-01-01T00:00:00") + np.arange(minute, minute + 5000).astype("timedelta64[m]")
        rows = rng.normal(size=(5000, 7)).round(4).tolist()
        yield "".join(
            f"{str(stamp).replace('T', ' ')},{','.join(map(str, row))}\n"
            for stamp, row in zip(stamps, rows, strict=True)
        )
        minute += 5000


def many(rng: np.random.Generator) -> Rows:
    """A hundred series, a step an hour, all names at each step."""
    hour = 0
    yield "unique_id,ds,y\n"
    while True:
        stamp = str(np.datetime64("1970-01-01T00:00:00") + np.timedelta64(hour, "h")).replace("T", " ")
        yield "".join(f"n{i},{stamp},{value}\n" for i, value in enumerate(rng.normal(size=100).round(4)))
        hour += 1


def lists(rng: np.random.Generator) -> Rows:
    """A list of 50 to 150 numbers a row, as JSON."""
    while True:
        row = rng.normal(size=int(rng.integers(50, 150))).round(4).tolist()
        yield json.dumps({"x": row, "label": str(int(rng.integers(3)))}) + "\n"


def tags(rng: np.random.Generator) -> Rows:
    """Sentences of 20 words, one of 17 tags a word."""
    while True:
        words = rng.zipf(1.3, size=20) % 50_000
        yield "".join(f"w{word} T{word % 17}\n" for word in words) + "\n"


SHAPES: dict[str, tuple[Callable[[np.random.Generator], Rows], str, list[str]]] = {
    "sessions": (sessions, "csv", ["data.input=x:z", "data.session=id", "data.time=t", "data.target=label"]),
    "series": (series, "csv", ["model.task=forecasting", "model.horizon=24"]),
    "many": (many, "csv", ["model.task=forecasting", "model.horizon=24"]),
    "lists": (lists, "jsonl", ["data.input=x", "data.target=label"]),
    "tags": (tags, "conll", ["data.target=tag"]),
}


def write(path: Path, rows: Rows, megabytes: float) -> None:
    with path.open("w", encoding="utf-8") as file:
        while file.tell() < megabytes * 1e6:
            file.write(next(rows))


def status(key: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def run_one(path: Path, settings: list[str]) -> dict[str, float]:
    """Prepare the data of one file; memory in MB, seconds."""
    from ostinato.recipe import apply_overrides, build_recipe
    from ostinato.tasks.prepare import prepare

    recipe = build_recipe(apply_overrides({}, [f"data.train={path}", *settings]))
    began, peak, running = status("RssAnon"), 0.0, True

    def watch() -> None:
        nonlocal peak
        while running:
            peak = max(peak, status("RssAnon"))
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    prepared = prepare(recipe)
    seconds = time.perf_counter() - start
    running = False
    watcher.join()
    return {
        "began": began,
        "private": peak,
        "resident": status("VmHWM"),
        "seconds": seconds,
        "rows": len(prepared.train),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", default="25,100,200")
    parser.add_argument("--shapes", default=",".join(SHAPES))
    parser.add_argument("--folder", type=Path, help="keep the files here")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(run_one(Path(arguments.one[0]), arguments.one[1:])))
        return
    print("| data | file, MB | began | private, MB | resident, MB | seconds |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        for shape in arguments.shapes.split(","):
            rows, suffix, settings = SHAPES[shape]
            for megabytes in map(float, arguments.megabytes.split(",")):
                path = folder / f"{shape}{megabytes:g}.{suffix}"
                if not path.exists():
                    write(path, rows(np.random.default_rng(0)), megabytes)
                command = [sys.executable, __file__, "--one", str(path), *settings]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode:
                    sys.exit(done.stderr)
                found = json.loads(done.stdout.splitlines()[-1])
                figures = " | ".join(f"{found[key]:,.0f}" for key in ("began", "private", "resident"))
                print(f"| {shape} | {megabytes:g} | {figures} | {found['seconds']:.1f} |", flush=True)


if __name__ == "__main__":
    main()
