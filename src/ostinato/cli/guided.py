"""A guided start: which column is read, and which is predicted, asked for on a terminal; two keys answer."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ostinato.errors import UndecidedError

_KEYS = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\r": "enter", b"\n": "enter"}
_LEAVES = (b"\x1b", b"q", b"\x03", b"\x04", b"")
_NAMED = 9
"""Lines that have a digit of their own."""
_LONGEST_NAME, _BESIDE = 24, 6
Line = tuple[str, str]
_FORECAST: Line = ("(forecast)", "a row is a step of time")


class Answer(NamedTuple):
    """What was chosen: columns, or a forecast."""

    input: str | None
    target: str | None
    settings: tuple[str, ...] = ()

    def words(self) -> list[str]:
        """As options of `ostinato train`."""
        named = [("--input", self.input), ("--target", self.target), *(("--set", one) for one in self.settings)]
        return [word for name, value in named if value is not None for word in (name, value)]


def can_ask(console: Console) -> bool:
    """Whether somebody sits at a terminal whose keys can be read one by one."""
    return sys.stdin.isatty() and console.is_terminal and sys.platform != "win32"


def ask(error: UndecidedError, console: Console) -> Answer | None:
    """Which columns are meant; None: whoever was asked has left."""
    with _keys() as keys:
        return choose(error, console, keys)


def choose(error: UndecidedError, console: Console, keys: Iterator[bytes]) -> Answer | None:
    """As `ask`, with the keys that are pressed."""
    inputs, targets = error.likely
    known = targets[0] if len(targets) == 1 else None
    names = [name for name in error.columns if name != known]
    lines = [*((name, error.columns[name]) for name in names), _FORECAST]
    read = _pick("Which column is read?", lines, names.index(inputs[0]), console, keys)
    if read is None:
        return None
    if read == len(names):
        return Answer(None, None, ("model.task=forecasting",))
    if known is not None:
        return Answer(names[read], known)
    rest = [name for name in error.columns if name != names[read]]
    likely = next((rest.index(name) for name in targets if name in rest), 0)
    nothing = ("(none)", f"{names[read]} itself is modelled")
    lines = [*((name, error.columns[name]) for name in rest), nothing]
    predicted = _pick("Which column is predicted?", lines, likely, console, keys)
    return None if predicted is None else Answer(names[read], [*rest, None][predicted])


def _pick(question: str, lines: list[Line], likely: int, console: Console, keys: Iterator[bytes]) -> int | None:
    """The number of the line that is chosen; None: whoever was asked has left."""
    at = likely
    with Live(_shown(question, lines, at, console.width), console=console, auto_refresh=False, transient=True) as live:
        for key in keys:
            pressed = _KEYS.get(key, "")
            if key in _LEAVES:
                return None
            if key.isdigit() and 0 < int(key) <= min(_NAMED, len(lines)):
                return int(key) - 1
            if pressed == "enter":
                return at
            at = (at + {"up": -1, "down": 1}.get(pressed, 0)) % len(lines)
            live.update(_shown(question, lines, at, console.width), refresh=True)
    return None


def _shown(question: str, lines: list[Line], at: int, width: int) -> Group:
    named = min(_LONGEST_NAME, max(cell_len(name) for name, _ in lines))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    for number, (name, cells) in enumerate(lines):
        style = "bold" if number == at else ""
        row = [
            Text("›" if number == at else " "),
            Text(str(number + 1) if number < _NAMED else ""),
            Text(name),
            Text(cells),
        ]
        for text, most in ((row[2], named), (row[3], width - named - _BESIDE)):
            text.truncate(max(1, most), overflow="ellipsis")
        table.add_row(*row, style=style)
    return Group(Text(question, "bold"), table, Text("a digit, or arrows and Enter; Escape leaves", "dim"))


@contextmanager
def _keys() -> Iterator[Iterator[bytes]]:
    """The keys that are pressed, as they come; the terminal is put back afterwards."""
    import termios
    import tty

    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        alone = termios.tcgetattr(descriptor)
        alone[3] &= ~termios.ISIG  # Ctrl-C is a key like any other
        termios.tcsetattr(descriptor, termios.TCSADRAIN, alone)
        yield _read(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int) -> Iterator[bytes]:
    """Bytes one by one, those of an arrow together; an empty one at the end."""
    while True:
        pressed = os.read(descriptor, 64)
        yield from re.findall(rb"\x1b[\[O].|.|\n", pressed) or [b""]
