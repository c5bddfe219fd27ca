"""A server as a process, what it takes, and figures of latencies: a part of `serving.py`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@contextmanager
def serving(*words: str) -> Iterator[tuple[str, int]]:
    """A server process: its address and its id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ostinato", "serve", *words, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "COLUMNS": "300"},
    )
    assert process.stderr is not None
    url = next(found[1] for line in process.stderr if (found := re.search(r" at (http://\S+)", line)))
    try:
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.wait()


def cpu_s(pid: int) -> float:
    """Of a process, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def figures(latencies: list[float], seconds: float) -> dict[str, float]:
    """Of latencies in seconds."""
    ms = np.array(latencies) * 1000
    return {
        "per_s": round(len(ms) / seconds),
        **{f"p{q:g}_ms": round(float(np.percentile(ms, q)), 2) for q in (50, 90, 99, 99.9)},
        "max_ms": round(float(ms.max()), 1),
    }
