"""A table of predictions written part by part: of any number of rows, in the memory of one part.

Parts lie in a folder beside the file, `.NAME.parts`, until all are there. The same command resumes after the last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from ostinato.storage.files import disk_error, read_json, write_atomically
from ostinato.training.places import path_of

ROWS = 65_536
"""Rows of a part; a table of no more is written at once."""
_FACTS = "parts.json"


class PartFiles:
    """The parts of a table.

    Args:
        out: the file they become.
        facts: what they come from: parts of anything else are removed.
    """

    def __init__(self, out: Path, facts: Mapping[str, Any]) -> None:
        self._out, self._folder, self._facts = out, out.with_name(f".{out.name}.parts"), facts
        self._suffix = ".jsonl" if out.suffix.lower() == ".jsonl" else ".parquet"
        fits = read_json(self._folder / _FACTS, missing_ok=True) == facts
        self._paths = sorted(self._folder.glob(f"part-*{self._suffix}")) if fits else []

    @property
    def done(self) -> int:
        """Parts that are there."""
        return len(self._paths)

    @property
    def num_rows(self) -> int:
        """Rows of the table in them."""
        return sum(int(path.stem.rpartition("-")[2]) for path in self._paths)

    def add(self, content: bytes, num_rows: int) -> None:
        """The next part, whole or not at all. Raises `CheckpointError` where the disk refuses."""
        if not self._paths:
            self.discard()
            self._folder.mkdir()
            write_atomically(self._folder / _FACTS, json.dumps(self._facts).encode())
        path = self._folder / f"part-{self.done:06}-{num_rows}{self._suffix}"
        write_atomically(path, content)
        self._paths.append(path)

    def discard(self) -> None:
        """Remove all parts, those of anything else among them."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._paths = []

    def finish(self) -> None:
        """The parts become one file. Raises `CheckpointError` where the disk refuses; they are then still there."""
        whole = self._folder / f"whole{self._out.suffix}"
        try:
            self._join(whole)
            os.replace(whole, self._out)
        except OSError as error:
            raise disk_error(self._out, error) from error
        shutil.rmtree(self._folder, ignore_errors=True)  # the parts are still counted

    def _join(self, whole: Path) -> None:
        if self._suffix == ".jsonl":
            with whole.open("wb") as out:
                for path in self._paths:
                    with path.open("rb") as part:
                        shutil.copyfileobj(part, out)
            return
        table = pl.concat([pl.scan_parquet(path) for path in self._paths], how="diagonal_relaxed")
        if self._out.suffix.lower() == ".csv":
            table.sink_csv(whole)
        else:
            table.sink_parquet(whole)


def state_of(data: str) -> str:
    """What tells whether a file, an archive or what is in a folder is as it was: sizes and times of change."""
    path = path_of(data) or Path(data)
    files = sorted(path.rglob("*")) if path.is_dir() else [path] if path.is_file() else []
    facts = [(str(one), one.stat().st_size, one.stat().st_mtime_ns) for one in files]
    return hashlib.sha256(json.dumps([data, facts]).encode()).hexdigest()
