"""A real Redis for tests: on a socket of its own, in a folder, which keeps what it was told before it says so."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis


@dataclass
class RedisServer:
    """A process, and where it is reached."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/s"

    def start(self) -> None:
        """Until it answers."""
        program = shutil.which("redis-server")
        if program is None:
            pytest.skip("redis-server is not installed (apt-get install redis-server)")
        options = ["--port", "0", "--unixsocket", "s", "--appendonly", "yes", "--appendfsync", "always", "--save"]
        self.process = subprocess.Popen(
            [program, *options, "", "--dir", str(self.folder)], stdout=subprocess.DEVNULL, cwd=self.folder
        )
        with redis.Redis.from_url(self.url) as client:
            for _ in range(400):
                try:
                    client.ping()
                    return
                except redis.exceptions.RedisError:  # it starts, or reads its file
                    time.sleep(0.02)
        raise AssertionError("redis-server does not answer")

    def kill(self) -> None:
        """As when its machine fails."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()


@contextmanager
def running() -> Iterator[RedisServer]:
    """A server, for a while."""
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:  # a socket's path must be short
        found = RedisServer(Path(folder))
        found.start()
        try:
            yield found
        finally:
            found.kill()
