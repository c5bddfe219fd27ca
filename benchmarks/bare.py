"""The bare command in a process of its own, and a table of what was measured: what `auto*.py` share."""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any


def ostinato(*arguments: object) -> dict[str, Any]:
    """What a command prints as JSON."""
    command = [sys.executable, "-m", "ostinato", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "NO_COLOR": "1"})
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def options(settings: Sequence[str]) -> list[str]:
    """Each KEY=VALUE after a `--set`."""
    return [part for one in settings for part in ("--set", one)]


def seconds() -> float:
    """Processor seconds of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """A CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Markdown, line by line."""
    for row in (heads, ["---"] * len(heads), *rows):
        yield f"| {' | '.join(row)} |"


def parser(about: str | None) -> argparse.ArgumentParser:
    """What every such benchmark is asked with."""
    found = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("data", type=Path)
    found.add_argument("sets", nargs="*", help="by default all")
    found.add_argument("--set", action="append", default=[], dest="settings", metavar="KEY=VALUE")
    found.add_argument("--report", type=Path)
    return found


def finish(text: str, report: Path | None) -> None:
    """Print the table, and keep it."""
    print(text)
    if report:
        report.write_text(text + "\n", encoding="utf-8")
