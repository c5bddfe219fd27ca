"""`log.jsonl`: one JSON object for every step and every validation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ostinato.errors import RunError
from ostinato.storage.files import disk_error, open_own

_BUFFERED_LINES = 50


class RunLog:
    """Appends to a run's log. Lines are buffered; `flush` before a checkpoint notes the log's `size`, so that a resumed
    run cuts off what came after and the log has neither gaps nor repeats."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: list[str] = []

    def write(self, kind: str, event: Mapping[str, Any]) -> None:
        """Add a line."""
        self._lines.append(json.dumps({"kind": kind, **event}))
        if len(self._lines) >= _BUFFERED_LINES or kind != "step":
            self.flush()

    def flush(self, durable: bool = False) -> None:
        """Write what is buffered; `durable`: wait until the disk has all of it."""
        if not self._lines and not (durable and self.path.exists()):
            return
        content = "".join(line + "\n" for line in self._lines)
        try:
            with open_own(self.path, os.O_APPEND) as out:
                out.write(content.encode())
                if durable:
                    out.flush()
                    os.fsync(out.fileno())
        except OSError as error:
            raise disk_error(self.path, error) from error
        self._lines = []

    @property
    def size(self) -> int:
        """Bytes written."""
        return self.path.stat().st_size if self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Forget everything after `size` bytes."""
        self._lines = []
        if self.path.exists() and self.size > size:
            with open_own(self.path, os.O_APPEND) as out:
                out.truncate(size)


def read_log(path: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The steps and the validations of a log, without its notes and without a last line that a killed process left
    unfinished. Raises `RunError` for a line that is no JSON."""
    found: dict[str, list[dict[str, Any]]] = {"step": [], "validation": [], "note": []}
    if not path.exists():
        return [], []
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]  # what follows the last line break is unfinished
    for number, line in enumerate(lines, start=1):
        try:
            event = json.loads(line)
            found[event.pop("kind")].append(event)
        except (ValueError, KeyError) as error:
            raise RunError(f"`{path}:{number}` is not a line of a log.") from error
    return found["step"], found["validation"]
