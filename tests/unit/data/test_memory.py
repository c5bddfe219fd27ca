"""A file larger than what reading may hold: peak memory does not grow with the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CODE = """
import resource, sys
from pathlib import Path
from ostinato.data import rawfile
from ostinato.data.rejects import BadRows
from ostinato.data.sources import open_source

rawfile.BLOCK_BYTES = rawfile.DETECT_BYTES = 1 << 20
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
