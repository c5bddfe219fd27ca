"""A real server as a process, for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

RUNS = Path(__file__).parent / "fixtures/old_runs"


@dataclass
class Server:
    """A process that serves, and where."""

    process: subprocess.Popen[str]
    url: str


def start_server(words: Sequence[str]) -> Server:
    """`ostinato serve WORDS`, on a free port."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ostinato", "serve", *words, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
    )
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if found := re.search(r"serving .* at (https?://\S+)", line):
            threading.Thread(target=_read, args=(process.stderr,), daemon=True).start()
            return Server(process, found[1])
    raise AssertionError(f"the server ended with {process.wait()}: {said}")


@contextmanager
def serving(words: Sequence[str]) -> Iterator[Server]:
    """`start_server`, killed at the end."""
    server = start_server(words)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


def _read(stream: IO[str]) -> None:
    """So that the process never waits for its log to be read."""
    with stream:
        stream.read()
