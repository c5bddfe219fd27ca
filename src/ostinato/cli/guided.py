"""A guided start: which column is read, and which is predicted, asked for on a terminal; two keys answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ostinato.errors import UndecidedError

_KEYS = {b"\x1b[A": "up", b"\x1bOA": "up", b"\x1b[B": "down", b"\x1bOB": "down", b"\r": "enter", b"\n": "enter"}
_LEAVES = (b"\x1b", b"q", b"\x03", b"\x04", b"")
_NAMED = 9
"""Lines that have a digit of their own."""
_FORECAST = "a row is a step of time: forecast what comes next"


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
    lines = [(name, cells) for name, cells in error.columns.items() if [name] != targets]
    read = _pick("Which column is read?", [*lines, (_FORECAST, "")], inputs[0], console, keys)
    if read is None:
        return None
    if read == _FORECAST:
        return Answer(None, None, ("model.task=forecasting",))
    if len(targets) == 1:
        return Answer(read, targets[0])
    nothing = f"nothing: {read} itself is written on"
    rest = [(name, cells) for name, cells in error.columns.items() if name != read]
    likely = next(name for name in (*targets, nothing) if name != read)
    predicted = _pick("Which column is predicted?", [*rest, (nothing, "")], likely, console, keys)
    return None if predicted is None else Answer(read, None if predicted == nothing else predicted)


def _pick(
    question: str, lines: list[tuple[str, str]], likely: str, console: Console, keys: Iterator[bytes]
) -> str | None:
    """The line that is chosen; None: whoever was asked has left."""
    names = [name for name, _ in lines]
    at = names.index(likely)
    with Live(_shown(question, lines, at), console=console, auto_refresh=False, transient=True) as live:
        for key in keys:
            pressed = _KEYS.get(key, "")
            if key in _LEAVES:
                return None
            if key.isdigit() and 0 < int(key) <= min(_NAMED, len(lines)):
                return names[int(key) - 1]
            if pressed == "enter":
                return names[at]
            at = (at + {"up": -1, "down": 1}.get(pressed, 0)) % len(lines)
            live.update(_shown(question, lines, at), refresh=True)
    return None


def _shown(question: str, lines: list[tuple[str, str]], at: int) -> Group:
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1, 0, 0))
    for _ in range(2):
        table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis")
    for number, (name, cells) in enumerate(lines):
        style = "bold" if number == at else ""
        digit = str(number + 1) if number < _NAMED else ""
        table.add_row(*(Text(cell, style) for cell in ("›" if number == at else " ", digit, name, cells)))
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
        yield _read(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


def _read(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            yield os.read(descriptor, 8)
        except KeyboardInterrupt:
            yield b"\x03"
