"""The first command of every error's hint, pasted: it works, or leads on to another error; never back to the same."""

from __future__ import annotations

import ast
import io
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import pytest
from tests.unit.cli.pasted_cases import CASES, DATA_ARE_AT_FAULT, FIRST, PROSE, REPORTED
from tests.unit.cli.pasted_data import make_folders, make_series, make_tables

import ostinato
from ostinato import errors
from ostinato.training.progress import Observer

SRC = Path(str(ostinato.__file__)).parent
MOST_STEPS = 5


class ReachedError(Exception):
    """A command got so far that training would start."""


@dataclass(frozen=True)
class Pasted:
    """What was pasted: the sites in the source that made hints on the way, and the errors one after the other."""

    sites: set[str]
    said: list[str]
    commands: list[str]
    ended: str


# ---- the sites ------------------------------------------------------------------------------------------------------
def _calls() -> Iterator[tuple[str, Path, int, int]]:
    """Every call that names a hint: `file:function`, numbered where a function has several, and its lines."""
    for path in sorted({*SRC.rglob("*.py")} - {Path(str(errors.__file__))}):
        found: list[tuple[str, int, int]] = []
        _walk(ast.parse(path.read_text()), "", found)
        seen: dict[str, int] = {}
        for name, first, last in sorted(found, key=lambda one: one[1]):
            seen[name] = seen.get(name, 0) + 1
            number = f"#{seen[name]}" if seen[name] > 1 else ""
            yield f"{path.relative_to(SRC).as_posix()}:{name}{number}", path, first, last


def _walk(node: ast.AST, name: str, found: list[tuple[str, int, int]]) -> None:
    if isinstance(node, ast.FunctionDef):
        name = node.name
    if isinstance(node, ast.Call) and any(one.arg in ("hint", "instead") for one in node.keywords):
        found.append((name, node.lineno, node.end_lineno or node.lineno))
    for child in ast.iter_child_nodes(node):
        _walk(child, name, found)


CALLS = list(_calls())


def _site(frame: FrameType) -> str | None:
    path, line = Path(frame.f_code.co_filename), frame.f_lineno
    return next((name for name, file, first, last in CALLS if file == path and first <= line <= last), None)


# ---- pasting --------------------------------------------------------------------------------------------------------
Paste = Callable[..., Pasted]


@pytest.fixture
def paste(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], here: Path) -> Paste:
    """Run a command, then the first command of its hint, and so on."""
    sites: set[str] = set()
    plain = errors.OstinatoError.__init__

    def noted(self: errors.OstinatoError, *args: object, **options: object) -> None:
        plain(self, *args, **options)  # type: ignore[arg-type]
        frame = sys._getframe(1)
        while frame.f_code.co_filename == errors.__file__ and frame.f_back:
            frame = frame.f_back
        if self.hint and (name := _site(frame)):
            sites.add(name)

    monkeypatch.setattr(errors.OstinatoError, "__init__", noted)
    monkeypatch.setattr(ostinato.Run, "report", _page)

    _stop_before_training(monkeypatch)

    def pasted(command: str) -> Pasted:
        said: list[str] = []
        commands: list[str] = []
        ended = "without a command"
        while len(commands) <= MOST_STEPS:
            commands.append(command)
            code, err = _run(_words(command), monkeypatch, capsys)
            if code == 0:
                ended = "well"
                break
            assert "Traceback" not in err
            message = err.partition("error: ")[2].partition("\nhint:")[0]
            assert message not in said, f"in a circle: {commands}\n{err}"
            said.append(message)
            found = re.search(r"^(?:hint: |  )(ostinato .*)$", err[err.find("error: ") :], re.M)
            if found is None:
                break
            command = found[1]
        return Pasted(sites, said, commands, ended)

    return pasted


def _words(command: str) -> list[str]:
    words = shlex.split(command.removeprefix("ostinato "))
    return [part for word in words for part in (("--set", word[1:]) if word.startswith("+") else (word,))]


def _run(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[int | str | None, str]:
    from ostinato.cli import main

    monkeypatch.setattr(sys, "argv", ["ostinato", *words])
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    capsys.readouterr()
    code: int | str | None = 0
    try:
        main()
    except SystemExit as stop:
        code = stop.code or 0
    except ReachedError:
        code = 0
    return code, capsys.readouterr().err


def _stop_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is checked and read, and the model built; nothing is trained."""
    from ostinato import api, comparison, crossvalidation
    from ostinato.longrange import benchmark
    from ostinato.tasks.prepare import prepare
    from ostinato.tasks.registry import task_of
    from ostinato.training.search import Search
    from ostinato.training.train import device_of

    def reached(recipe: ostinato.Recipe, out: Path | None, observer: Observer, given: Path) -> None:
        if out is not None and out.exists():
            from ostinato.training.run_folder import taken

            raise taken(out)
        device = device_of(recipe)
        prepared = prepare(recipe, lambda _: None)
        task_of(prepared.recipe).training(
            task_of(prepared.recipe).build(prepared.recipe, prepared.features), prepared, device
        )
        Search.of(prepared, recipe)
        raise ReachedError

    def trained(*_: object, **__: object) -> None:
        raise ReachedError

    monkeypatch.setattr(api, "train_recipe", reached)
    monkeypatch.setattr(comparison.comparing, "run_child", trained)
    monkeypatch.setattr(crossvalidation, "train_recipe", trained)
    monkeypatch.setattr(benchmark, "run_trial", trained)


def _page(run: ostinato.Run) -> Path:
    """A report without plots."""
    (run.folder / "report.html").write_text("")
    return run.folder / "report.html"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All the small data, and runs of a classifier and a language model."""
    path = tmp_path_factory.mktemp("pasted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        make_tables()
        make_series()
        make_folders()
        tiny = {"model.hidden_size": 4, "model.embedding_dim": 4, "training.epochs": 1, "training.baselines_seconds": 0}
        patch.setattr("ostinato.run.Run.report", _page)
        ostinato.train("t.csv", input="text", target="label", settings=tiny, out="run", observer=Observer())
    return path


@pytest.fixture
def here(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, in which the command is run."""
    shutil.copytree(folder, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("site", CASES)
def test_a_pasted_hint_works_or_leads_on(site: str, paste: Paste) -> None:
    if site == "data/readers/excel.py:_chosen":
        pytest.importorskip("xlsxwriter")
    FIRST.get(site, lambda: None)()
    found = paste(CASES[site])
    assert site in found.sites, (found.sites, found.said)
    assert len(found.commands) > 1, found.said
    assert found.ended == "well" or site in DATA_ARE_AT_FAULT, (found.commands, found.said)


@pytest.mark.parametrize("what", REPORTED)
def test_the_way_on_from_what_people_typed(what: str, paste: Paste) -> None:
    found = paste(REPORTED[what])
    assert len(found.commands) > 1, found.said
    assert found.ended == "well", (found.commands, found.said)


def test_every_hint_is_pasted_or_declared_as_prose() -> None:
    declared = [site for sites in PROSE.values() for site in sites.split()]
    assert len(declared) == len({*declared, *CASES}) - len(CASES), "declared twice, or pasted and declared"
    there = {name for name, *_ in CALLS}
    assert there - {*declared, *CASES} == set(), "neither pasted nor declared as prose"
    assert {*declared, *CASES} - there == set(), "no longer in the source"
