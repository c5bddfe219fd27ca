"""The guided start: two keys choose the columns, on a terminal; elsewhere the commands are printed."""

from __future__ import annotations

import importlib
import io
import os
import pty
import re
import select
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import ostinato
from ostinato.cli import console, guided
from ostinato.errors import UndecidedError
from ostinato.terminal import Terminal

UP, DOWN, ENTER, ESCAPE = b"\x1b[A", b"\x1b[B", b"\n", b"\x1b"
COLUMNS = {
    "id": "'1', '2', '3'",
    "text": "'a fine film', 'a bad film', '" + "of which much more must be said " * 5,
    "label": "'pos', 'neg'",
}


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)


def _error() -> UndecidedError:
    likely = (["text", "label", "id"], ["label", "id", "text"])
    return UndecidedError("open", hint="ostinato train t.csv", columns=COLUMNS, likely=likely, choices=[])


def _chosen(*keys: bytes, width: int = 80) -> tuple[guided.Answer | None, str]:
    out = io.StringIO()
    screen = Terminal(file=out, force_terminal=True, width=width, no_color=True, highlight=False)
    return guided.choose(_error(), screen, iter(keys)), out.getvalue()


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ((ENTER, ENTER), ["--input", "text", "--target", "label"]),
        ((b"2", b"2"), ["--input", "text", "--target", "label"]),
        ((b"3", b"1"), ["--input", "label", "--target", "id"]),
        ((DOWN, ENTER, ENTER), ["--input", "label", "--target", "id"]),
        ((b"x", b"9", UP, DOWN, b"2", b"3"), ["--input", "text"]),
        ((b"4",), ["--set", "model.task=forecasting"]),
    ],
)
def test_keys_choose_columns(keys: tuple[bytes, ...], words: list[str]) -> None:
    answer, _ = _chosen(*keys)
    assert answer is not None
    assert answer.words() == words


@pytest.mark.parametrize("keys", [(ESCAPE,), (b"q",), (b"2", ESCAPE), (b"\x03",), (b"2", b""), ()])
def test_leaving(keys: tuple[bytes, ...]) -> None:
    assert _chosen(*keys)[0] is None


@pytest.mark.parametrize("width", [80, 50])
def test_what_is_shown_fits(width: int) -> None:
    _, shown = _chosen(b"2", b"2", width=width)
    shown = _plain(shown)
    for text in ("Which column is read?", "Which column is predicted?", "› 2 text", "'a fine film'"):
        assert text in shown
    assert all(len(line.rpartition("\r")[2]) <= width for line in shown.split("\n"))


class _Person:
    """Who sits at a pseudo-terminal."""

    def __init__(self) -> None:
        self.own, other = pty.openpty()
        self.stdin = os.fdopen(other, "r", closefd=True)
        self.stderr = os.fdopen(os.dup(other), "w")

        self.text = ""

    def answers(self, **keys: bytes) -> None:
        """Press keys when a question is there, by a word of it."""
        self._thread = threading.Thread(target=self._answer, args=(list(keys.items()),))
        self._thread.start()

    def _answer(self, keys: list[tuple[str, bytes]]) -> None:
        for word, key in keys:
            while f"column is {word}?" not in self.text and self._look(20):
                pass
            os.write(self.own, key)

    def _look(self, seconds: float) -> bool:
        there = bool(select.select([self.own], [], [], seconds)[0])
        if there:
            self.text += os.read(self.own, 65536).decode("utf-8", "replace")
        return there

    def seen(self) -> str:
        """All that was printed."""
        self._thread.join()
        while self._look(0.2):
            pass
        return _plain(self.text.replace("\r\n", "\n"))

    def close(self) -> None:
        for stream in (self.stdin, self.stderr):
            stream.close()
        os.close(self.own)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Person]:
    """A terminal on which `ostinato train t.csv` is typed; training ends before it begins."""
    found = _Person()
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(sys, "stdin", found.stdin)
    screen = Terminal(file=found.stderr, force_terminal=True, width=80, height=24, highlight=False, soft_wrap=True)
    for module in (console, importlib.import_module("ostinato.cli.train")):
        monkeypatch.setattr(module, "stderr", screen)
    yield found
    found.close()


def _type(words: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    from ostinato.cli import main

    monkeypatch.setattr(sys, "argv", ["ostinato", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(str(stop.value.code or 0))


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Reviews, in the folder that is worked in."""
    rows = [("a fine film", "pos"), ("a bad film", "neg"), ("what a bore", "neg"), ("warm", "pos")] * 6
    (tmp_path / "t.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "t.csv"


def test_two_keys_on_a_terminal_train(person: _Person, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[ostinato.Recipe] = []
    plain = ostinato.train

    def stopped(**options: object) -> None:
        if options["recipe"].data.input is None:  # type: ignore[attr-defined]
            plain(**options)  # type: ignore[arg-type]
        trained.append(options["recipe"])  # type: ignore[arg-type]
        raise SystemExit(0)

    monkeypatch.setattr("ostinato.api.train", stopped)
    person.answers(read=b"1", predicted=b"2")
    assert _type(["train", "t.csv", "--epochs", "1"], monkeypatch) == 0
    assert (trained[0].data.input, trained[0].data.target, trained[0].training.epochs) == ("text", None, 1)
    shown = person.seen()
    assert "Which column is read?" in shown
    assert "ostinato train t.csv --epochs 1 --input text" in shown


@pytest.mark.parametrize("key", [ESCAPE, b"\x03"], ids=["escape", "ctrl-c"])
def test_leaving_tells_the_two_commands(
    person: _Person, table: Path, monkeypatch: pytest.MonkeyPatch, key: bytes
) -> None:
    person.answers(read=key)
    assert _type(["train", "t.csv"], monkeypatch) == 1
    shown = person.seen()
    assert "hint: ostinato train t.csv --input text --target label\nor:\n  ostinato train t.csv --input text\n" in shown


def test_without_a_terminal_the_commands_are_printed(
    table: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("1"))
    assert _type(["train", "t.csv"], monkeypatch) == 1
    said = capsys.readouterr().err
    assert "Which column" not in said
    assert "  text: 'a fine film', 'a bad film', 'what a bore'" in said
    assert "hint: ostinato train t.csv --input text --target label\nor:\n  ostinato train t.csv --input text\n" in said
