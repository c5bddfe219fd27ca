"""A file larger than what reading may hold: peak memory does not grow with the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

CODE = """
import resource, sys
from pathlib import Path
from ostinato.storage import decompress
from ostinato.data.rejects import BadRows
from ostinato.data.readers.registry import open_source

decompress.BLOCK_BYTES = decompress.DETECT_BYTES = 1 << 20
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
source, rows, early = open_source(Path(sys.argv[1]), BadRows()), 0, 0
for number, block in enumerate(source.blocks(["text", "label"])):
    rows += len(block)
    if number == 7:
        early = peak()
print(rows, early, peak())
"""


def test_peak_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    row = '"a review, with ""quotes"" and\na second line ' + "and more words " * 60 + '",1\n'
    path = tmp_path / "rows.csv"
    count = 80_000_000 // len(row)
    with path.open("w") as out:
        out.write("text,label\n")
        for _ in range(0, count, 1000):
            out.write(row * 1000)
    done = subprocess.run([sys.executable, "-c", CODE, str(path)], capture_output=True, text=True, check=True)
    rows, early, peak = map(int, done.stdout.split())
    assert rows == -(-count // 1000) * 1000
    assert peak - early < 40  # MB, of an 80 MB file


PREPARE = """
import sys, threading, time
from pathlib import Path
from ostinato.data.tables import group_rows, sessions
from ostinato.data.io import spool
from ostinato.storage import decompress
from ostinato.tasks.prepare import prepare
from ostinato.recipe import apply_overrides, build_recipe

decompress.BLOCK_BYTES = decompress.DETECT_BYTES = spool.SPILL_BYTES = spool._STEP_BYTES = 1 << 18
group_rows._ROWS = sessions._STEPS = 1 << 14
peak, running = 0, True

def private():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("RssAnon"))
    return int(line.split()[1]) >> 10

def watch():
    global peak
    while running:
        peak = max(peak, private())
        time.sleep(0.005)

peaks = []
for path in (sys.argv[1], *sys.argv[1:3]):  # what is imported on the way is there once the first is prepared
    recipe = build_recipe(apply_overrides({}, [f"data.train={path}", *sys.argv[3:]]))
    peak, running = 0, True
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        prepared = prepare(recipe)
    finally:
        running = False
        watcher.join()
    assert len(prepared.train) and len(prepared.validation)
    del prepared
    peaks.append(peak)
print(*peaks[1:])
"""


def _sessions(megabytes: float) -> str:
    rows = int(megabytes * 1e6) // 30
    numbers = np.random.default_rng(0).normal(size=(rows, 2)).round(4).tolist()
    body = "".join(f"s{i % 997},{i},{x},{y},{i % 997 % 3}\n" for i, (x, y) in enumerate(numbers))
    return "who,when,x,y,label\n" + body


def _series(megabytes: float) -> str:
    rows = int(megabytes * 1e6) // 30
    numbers = np.random.default_rng(0).normal(size=(rows, 3)).round(4).tolist()
    return "day,a,b,c\n" + "".join(f"{i},{a},{b},{c}\n" for i, (a, b, c) in enumerate(numbers))


@pytest.mark.parametrize(
    ("write", "settings"),
    [
        (_sessions, ["data.input=x,y", "data.session=who", "data.time=when", "data.target=label"]),
        (_series, ["model.task=forecasting", "model.horizon=4", "model.lookback=8"]),
    ],
    ids=["sessions", "series"],
)
def test_rows_that_must_be_gathered_wait_outside_of_memory(tmp_path: Path, write: object, settings: list[str]) -> None:
    """What a process alone can hold, after a file of 2 MB, grows by less than one of 16 MB is longer."""
    assert callable(write)
    paths = [tmp_path / "small.csv", tmp_path / "large.csv"]
    for path, megabytes in zip(paths, (2, 16), strict=True):
        path.write_text(write(megabytes))
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *map(str, paths), *settings], capture_output=True, text=True, check=True
    )
    small, large = map(int, done.stdout.split())
    assert large - small < 14
