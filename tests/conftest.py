"""What several tests share: small real data, and the command line run in this process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"

if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores: a thread each
    os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Result:
    """What a command left behind."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test depends on, or changes, what the machine has."""
    for name in ("OSTINATO_DATA", "OSTINATO_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OSTINATO_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Run `ostinato ARGS` in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, stdin: str = "") -> Result:
        import io

        from ostinato.cli import main

        monkeypatch.setattr(sys, "argv", ["ostinato", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as stop:
            code = stop.code or 0
        seen = capsys.readouterr()
        return Result(int(str(code)), seen.out, seen.err)

    return run


@pytest.fixture
def polarity() -> Path:
    """600 sentences, `text` and `label` (positive, negative)."""
    return DATA / "polarity.csv"


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """The first 30,000 characters of The Mysterious Island."""
    from ostinato.data.catalog import find

    path = tmp_path / "book.txt"
    path.write_text(find("mysterious-island", "train").read_text(encoding="utf-8")[:30_000], encoding="utf-8")
    return path


@pytest.fixture(scope="session", autouse=True)
def _few_threads() -> None:
    """Small tensors gain nothing from threads, and a busy machine starves threads that wait for each other."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
