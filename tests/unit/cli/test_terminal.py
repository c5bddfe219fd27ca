"""Nothing that data hold moves, colours or floods a terminal."""

from __future__ import annotations

import io
import json
import sys

import pytest
from tests.conftest import Cli

from ostinato.cli import console
from ostinato.errors import DataError
from ostinato.terminal import Terminal

HOSTILE = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\re"
SHOWN = r"a\x1b]0;title\x07b\x1b[2Jc\x9b31md\x0de"


def _screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    out = io.StringIO()
    monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys, "stdout", out)
    return out


def test_escape_sequences_are_written_out() -> None:
    out = io.StringIO()
    terminal = Terminal(file=out, force_terminal=True, width=200, no_color=True, highlight=False)
    terminal.print(HOSTILE, style="bold", markup=False)
    assert r"a\x1b]0;titleb\x1b[2Jc\x9b31mde" in out.getvalue()  # rich leaves out the bell and returns
    assert out.getvalue().count("\x1b") == 2  # bold, and back


def test_text_on_a_terminal_and_in_a_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _screen(monkeypatch)
    console.print_text(HOSTILE)
    assert screen.getvalue() == SHOWN + "\n"
    monkeypatch.setattr(screen, "isatty", lambda: False)
    console.print_text(HOSTILE)
    assert screen.getvalue().endswith(HOSTILE + "\n")


def test_json_knows_no_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = _screen(monkeypatch)
    console.print_json({"loss": float("nan"), "each": [1.0, float("-inf")], "text": "ü"})
    assert json.loads(screen.getvalue()) == {"loss": None, "each": [1.0, None], "text": "ü"}


def test_a_cell_of_a_million_letters_is_not_said_whole() -> None:
    error = DataError(f"no number: {'x' * 10**6}", hint="y" * 10**6)
    assert len(error.message) <= 4000
    assert len(str(error)) < 8100
    assert "characters more" in error.message


@pytest.mark.parametrize("command", [("evaluate",), ("train", "--recipe"), ("data", "describe"), ("train", "--resume")])
def test_a_path_that_cannot_be_is_an_error_of_one_line(cli: Cli, command: tuple[str, ...]) -> None:
    found = cli(*command, "x" * 300)
    assert found.code == 1
    assert found.err == f"error: can't use `{'x' * 300}`: File name too long.\n"
