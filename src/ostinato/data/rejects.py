"""Rows that can't be used: named by file and line, collected, then either a stop that lists them, or set aside."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ostinato.errors import DataError
from ostinato.storage.files import write_atomically

_LISTED = 20
_KEPT_CHARACTERS = 200


@dataclass(frozen=True)
class BadRow:
    """One row: its place, why it can't be used, and how it begins."""

    file: str
    line: int
    reason: str
    excerpt: str
    lines: int = 1
    """How many it takes up in the file."""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}{f' ({self.lines:,} lines)' if self.lines > 1 else ''}"

    def to_dict(self) -> dict[str, object]:
        """What `rejected.jsonl` holds of it; the number of lines where there are several."""
        return {key: value for key, value in self.__dict__.items() if key != "lines" or self.lines > 1}


@dataclass
class BadRows:
    """What reading collects. `policy` is the recipe's `data.on_bad_row`."""

    policy: str = "stop"
    rows: list[BadRow] = field(default_factory=list)
    hints: dict[str, None] = field(default_factory=dict)
    alias: Callable[[str], str] = field(default=str, repr=False)
    """How messages name files."""

    def add(
        self, file: str, line: int, reason: str, excerpt: str = "", hint: str | None = None, lines: int = 1
    ) -> None:
        """Record a row that takes up `lines`; `hint` is shown once if reading stops."""
        self.rows.append(BadRow(self.alias(file), line, reason, excerpt[:_KEPT_CHARACTERS], lines))
        if hint:
            self.hints[hint] = None

    @property
    def how_many(self) -> str:
        """`1 row`, `8 rows (167 lines)`."""
        lines = sum(row.lines for row in self.rows)
        return counted(len(self.rows), "row") + (f" ({lines:,} lines)" if lines > len(self.rows) else "")

    def in_order(self) -> list[BadRow]:
        """The rows, file after file, by line."""
        order = {file: number for number, file in enumerate(dict.fromkeys(row.file for row in self.rows))}
        return sorted(self.rows, key=lambda row: (order[row.file], row.line))

    def check(self) -> int:
        """After reading: how many rows are set aside.

        Raises:
            DataError: with the policy "stop", if there are any; the first 20 are listed.
        """
        if self.rows and self.policy == "stop":
            hints = "; ".join([*self.hints, "to skip them: --set data.on_bad_row=skip"])
            raise DataError(f"{self.how_many} can't be used:\n{self.listed()}", hint=hints)
        return len(self.rows)

    def listed(self) -> str:
        """The first 20, a line each."""
        shown = "\n".join(f"  {row}" for row in self.in_order()[:_LISTED])
        return shown + (f"\n  … and {len(self.rows) - _LISTED:,} more" if len(self.rows) > _LISTED else "")

    def write(self, folder: Path) -> None:
        """The rows set aside as `rejected.jsonl` in `folder`, if there are any."""
        if self.rows:
            lines = (json.dumps(row.to_dict(), ensure_ascii=False) + "\n" for row in self.in_order())
            write_atomically(folder / "rejected.jsonl", "".join(lines).encode())


def counted(count: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
