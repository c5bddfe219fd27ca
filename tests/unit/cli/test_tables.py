"""Tables of the command line: whole in a pipe, fitted to a terminal, no word cut in two."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from ostinato.cli.tables import print_table, table

HEADINGS = ("model", "hidden", "parameters", "bits per character", "± sd", "clearly behind", "CPU s", "MFLOP a step")
ROW = ("elman learning_rate=0.004", "1,207", "79,783", "8.6662", "0.0170", "no", "1,512", "0.16")


def _printed(width: int, *, terminal: bool, row: tuple[str, ...] = ROW) -> list[str]:
    out = io.StringIO()
    made = table(*HEADINGS)
    made.add_row(*row)
    print_table(made, Console(file=out, force_terminal=terminal, width=width, soft_wrap=True, no_color=True))
    plain = out.getvalue().replace("\x1b[1m", "").replace("\x1b[0m", "")
    return plain.splitlines()


def test_a_pipe_gets_a_line_a_row() -> None:
    heading, row = _printed(20, terminal=False)
    assert heading.split("  ")[0] == "model"
    assert row.split() == ["elman", "learning_rate=0.004", "1,207", "79,783", "8.6662", "0.0170", "no", "1,512", "0.16"]


@pytest.mark.parametrize("width", [80, 100, 200])
def test_a_terminal_gets_lines_that_fit_and_whole_words(width: int) -> None:
    lines = _printed(width, terminal=True)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert sorted(words) == sorted(" ".join(HEADINGS + ROW).split())


def test_where_the_words_do_not_fit_the_lines_are_longer_than_the_terminal() -> None:
    lines = _printed(40, terminal=True)
    assert max(map(len, lines)) > 40
    assert "learning_rate=0.004" in " ".join(lines).split()
    assert any(line.startswith("x" * 32 + " ") for line in _printed(40, terminal=True, row=("x" * 50, *ROW[1:])))


def test_what_data_call_their_classes_is_no_markup() -> None:
    assert _printed(80, terminal=False, row=("[/b] [red]", *ROW[1:]))[1].startswith("[/b] [red]  ")
