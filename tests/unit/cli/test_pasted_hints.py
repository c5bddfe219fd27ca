"""The first command of every error's hint, pasted: it works, or leads on to another error; never back to the same."""

from __future__ import annotations

import ast
import datetime as dt
import io
import json
import re
import shlex
import shutil
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import numpy as np
import pytest

import ostinato
from ostinato import errors
from ostinato.training.progress import Observer

SRC = Path(str(ostinato.__file__)).parent
TINY = ("--set", "model.hidden_size=4", "--set", "model.embedding_dim=4", "--set", "training.epochs=1")
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
    for path in sorted(SRC.rglob("*.py")):
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

    def pasted(command: str, *, trains: bool = False) -> Pasted:
        if not trains:
            _stop_before_training(monkeypatch)
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
    from ostinato.training.train import device_of

    def reached(recipe: ostinato.Recipe, out: Path | None = None, observer: Observer | None = None) -> None:
        if out is not None and out.exists():
            from ostinato.training.run_folder import taken

            raise taken(out)
        device = device_of(recipe)
        prepared = prepare(recipe, lambda _: None)
        task_of(prepared.recipe).training(
            task_of(prepared.recipe).build(prepared.recipe, prepared.features), prepared, device
        )
        raise ReachedError

    def trained(*_: object, **__: object) -> None:
        raise ReachedError

    monkeypatch.setattr(api, "train_recipe", reached)
    monkeypatch.setattr(comparison.comparing, "run_child", trained)
    monkeypatch.setattr(crossvalidation, "train_recipe", trained)
    monkeypatch.setattr(benchmark, "run_trial", trained)


# ---- small data -----------------------------------------------------------------------------------------------------
WORDS = ["a fine film", "a bad film", "what a bore", "warm and lovely"]


def _text(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _series(name: str, stamps: list[str], header: str = "date,y", extra: str = "") -> None:
    _text(name, header, *(f"{stamp}{extra},{(7 * i) % 12 + i / 100}" for i, stamp in enumerate(stamps)))


def _days(count: int) -> list[str]:
    return [str(dt.date(2021, 1, 1) + dt.timedelta(days)) for days in range(count)]


def _hours(count: int) -> list[str]:
    return [f"2021-01-{1 + i // 24:02} {i % 24:02}:00" for i in range(count)]


def _make_tables() -> None:
    rows = [(WORDS[i % 4], ("pos", "neg")[i % 4 in (1, 2)]) for i in range(40)]
    _text("t.csv", "text,label", *(",".join(row) for row in rows))
    _text("gone.csv", "text,label", *(",".join(row) for row in rows[:12]), ",pos", *(",".join(row) for row in rows))
    _text("long.csv", "text,label", *(",".join(row) for row in rows), f"{'film ' * 250_000},pos")
    _text(
        "mixed.csv", "text,label", *(f"{text},{i % 3 if i % 5 else 'none at all'}" for i, (text, _) in enumerate(rows))
    )
    _text("nan.csv", "text,label", *(f"{text},{'inf' if i == 7 else i / 3}" for i, (text, _) in enumerate(rows)))
    _text("many.csv", "text,label", *(f"{WORDS[i % 4]},answer {i} of its own" for i in range(120)))
    _text("few.csv", "text,label", *(f"{text},{i + 0.5}" for i, (text, _) in enumerate(rows[:4])))
    _text("rare.csv", "text,label", *(f"{text},c{i // 2}" for i, (text, _) in enumerate(rows)))
    _text("groups.csv", "text,label,who", *(f"{text},{label},a" for text, label in rows))
    _text("semicolons.csv", "text;label", *(";".join(row) for row in rows))
    _text("session.csv", "who,y,kind", *(f"{i // 5},{i * 7 % 11},{i // 5 % 2}" for i in range(60)))
    Path("cyrillic.csv").write_bytes(
        b"text,label\n" + "".join(f"хороший фильм о любви и войне,{i % 2}\n" for i in range(40)).encode("cp1251")
    )
    Path("wide.csv").write_bytes(("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows)).encode("utf-16-le"))
    _text("lists.jsonl", *(json.dumps({"x": WORDS[i % 4].split(), "y": i % 2}) for i in range(40)))
    _text("vectors.jsonl", *(json.dumps({"x": [1.5, i, 2.0], "y": [0.5] * (2 + i % 3)}) for i in range(40)))
    _text("numbers.jsonl", *(json.dumps({"x": [0.5, i, 1.5], "y": i % 2}) for i in range(40)))
    _text(
        "tagged.jsonl",
        *(
            json.dumps({"words": WORDS[i % 4].split(), "tags": ["D", "N", "A", "V"][: len(WORDS[i % 4].split())]})
            for i in range(40)
        ),
    )
    _text("pairs.csv", "source,target", *(f"{WORDS[i % 4]},{WORDS[(i + 1) % 4]}" for i in range(40)))
    _text("notes.xyz", "just a few words")
    _text("binary.txt", "a\x01\x02\x03\x04\x05\x06\x07" * 20)
    _text("classes.csv", "class,y", *(f"{'ab'[i % 2]},{i % 4}" for i in range(40)))


def _make_series() -> None:
    _series("days.csv", _days(60))
    _series("gaps.csv", [*_days(20), *_days(60)[23:]])
    _series("wide_gap.csv", [*_hours(10), "2021-03-01 00:00", *[f"2021-03-01 {i:02}:00" for i in range(1, 10)]])
    _series("odd.csv", [*_days(30), "2021-03-01 06:07"])
    _series("late.csv", [*_days(20)[:10], *_days(20)[11:12], *_days(20)[10:11], *_days(40)[12:]])
    _series("twice.csv", [*_days(20), _days(20)[-1], *_days(40)[20:]])
    _series("open.csv", [f"{month:02}/01/2021" for month in range(1, 13)] * 1)
    _series("strange.csv", [f"day {i} of all" for i in range(40)])
    _series("short.csv", _days(6))
    _text(
        "stores.csv",
        "date,store,item,y",
        *(f"{d},{s},{i},{n % 7}" for s in (1, 2) for i in (1, 2) for n, d in enumerate(_days(40))),
    )
    _text("hole.csv", "date,y", *(f"{day},{'' if i == 9 else i % 5}" for i, day in enumerate(_days(40))))
    _text("rubbish.csv", "date,y", *(f"{day},{'broken' if i == 9 else i % 5}" for i, day in enumerate(_days(40))))
    _text("words.csv", "date,y", *(f"{day},{'ab'[i % 2]}" for i, day in enumerate(_days(40))))


def _make_folders() -> None:
    for part in ("train", "test"):
        for label in ("pos", "neg"):
            Path(f"tree/{part}/{label}").mkdir(parents=True)
            for i in range(12):
                _text(f"tree/{part}/{label}/{i}.txt", WORDS[i % 4])
    for part in ("train", "test"):
        Path("parts").mkdir(exist_ok=True)
        shutil.copy("t.csv", f"parts/{part}.csv")
    with zipfile.ZipFile("a.zip", "w") as archive:
        for name in ("one.csv", "two.csv"):
            archive.write("t.csv", name)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 6)), np.arange(20) % 2
    np.savez("arrays.npz", X_train=x, y_train=y, X_test=x, y_test=y)
    _text("empty.yaml", "training: {epochs: 1}")
    _text(
        "r.yaml", "data: {train: t.csv, input: text, target: label}", "training: {epochs: 1}", "model: {hidden_size: 4}"
    )
    Path("runs").mkdir()
    Path("full").mkdir()
    _text("full/x.txt", "mine")


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
        _make_tables()
        _make_series()
        _make_folders()
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


# ---- cases ----------------------------------------------------------------------------------------------------------
T = "train t.csv --input text --target label"
H, K = "+model.horizon=2 +model.lookback=4", "model.task"
L, P, W = "--input text --target label", "--input source --target target", "--input words --target tags"
CASES = {
    "cells/registry.py:get": f"{T} +model.cell=lsmt",
    "cli/compare.py:_varied": "compare --recipe r.yaml --vary hidden_size",
    "cli/data.py:sample": "data sample revews.csv",
    "cli/predict.py:predict": "predict run",
    "cli/predicted.py:check_out": "predict run --file t.csv --out said.xls",
    "cli/predicted.py:check_out#2": "predict run --file t.csv --out no/said.csv",
    "cli/recipe.py:init": f"recipe init t.csv {L} --out r.yaml",
    "cli/train.py:train": "train",
    "comparison/comparing.py:_base": "compare --recipe empty.yaml --cells gru,lstm",
    "comparison/comparing.py:_base#2": "compare --recipe r.yaml --cells gru,lstm --match time",
    "comparison/plan.py:plan": "compare --recipe r.yaml",
    "crossvalidation.py:_plan": "crossvalidate empty.yaml --folds 2",
    "crossvalidation.py:_claim": "crossvalidate r.yaml --folds 2 --out full",
    "data/catalog/__init__.py:resolve_path": "train mysterious-islnd",
    "data/catalog/__init__.py:lookup": "data fetch mysterious-islnd",
    "data/features/tokens.py:_vocabulary": "train lists.jsonl --input x --target y"
    " +features.input.kind=tokens +features.input.min_frequency=99",
    "data/forecasting/clean.py:_regular": f"train odd.csv {H}",
    "data/forecasting/clean.py:_gaps": f"train gaps.csv {H}",
    "data/forecasting/clean.py:_gaps#2": "train wide_gap.csv +model.horizon=1 +model.lookback=2",
    "data/forecasting/clean.py:_filled": f"train hole.csv {H}",
    "data/forecasting/columns.py:resolve_columns": f"train session.csv +{K}=forecasting"
    " '+data.calendar=[hour]' '+data.channels=[y]'",
    "data/forecasting/columns.py:resolve_columns#2": f"train words.csv +{K}=forecasting",
    "data/forecasting/order.py:_wrong": f"train late.csv {H}",
    "data/forecasting/prepare.py:resolve_series": f"train days.csv +{K}=forecasting --input date --target y",
    "data/forecasting/prepare.py:_borders": f"train days.csv '+data.split=[400,40]' {H}",
    "data/forecasting/prepare.py:too_short": "train days.csv +model.horizon=50 +model.lookback=40",
    "data/forecasting/read.py:_read_steps": f"train strange.csv +data.time=date +{K}=forecasting",
    "data/forecasting/read.py:_read_steps#2": f"train rubbish.csv +{K}=forecasting '+data.channels=[y]' {H}",
    "data/inference/applicability.py:refuse_inapplicable": "train days.csv --input date --target y"
    f" +{K}=classification +data.on_gap=fill",
    "data/inference/likely.py:no_input": "train t.csv +training.epochs=1",
    "data/inference/resolve.py:_same_column": "train t.csv --input text --target text",
    "data/inference/resolve.py:_category_of": "train lists.jsonl --input x",
    "data/inference/target.py:infer_target": f"train many.csv {L} +{K}=classification",
    "data/inference/target.py:infer_target#2": f"train mixed.csv {L}",
    "data/inference/target.py:infer_target#3": f"train nan.csv {L}",
    "data/inference/target.py:_refuse_sequences": f"train vectors.jsonl --input x --target y +{K}=classification",
    "data/readers/base.py:require": "train t.csv --input txt --target label",
    "data/readers/folder.py:_no_texts": "train tree +data.format=folder",
    "data/readers/inside.py:member_of": f"train a.zip#ones.csv {L}",
    "data/readers/panels.py:_chosen": "train arrays.npz",
    "data/readers/registry.py:open_source": f"{T} +data.format=cvs",
    "data/readers/registry.py:_place_of": f"train tt.csv {L}",
    "data/readers/registry.py:_known#2": "train notes.xyz",
    "data/readers/tables.py:_sources": f"train parts {L}",
    "data/rejects.py:check": f"train gone.csv {L}",
    "data/split.py:split_rows": f"train few.csv {L} +data.stratify=false",
    "data/split.py:split_rows#2": f"train groups.csv {L} +data.group=who",
    "data/split.py:_split_alike": f"train rare.csv {L} +data.stratify=true",
    "data/tables/reshape.py:arrangement_of": "train session.csv --target kind +data.session=who",
    "data/times/clock.py:_open": "train open.csv +model.horizon=1 +model.lookback=2",
    "data/times/tree.py:unreadable": "train days.csv +data.time_format=yyyy",
    "data/vocabulary.py:finish": f"{T} +features.input.min_frequency=99 +features.input.unit=words",
    "longrange/registry.py:one_of": "benchmark memory --tasks ading --minutes 0.01",
    "recipe/load.py:read_recipe": "recipe show imbd",
    "recipe/load.py:_pairs": f"{T} +training.epochs",
    "recipe/mistakes.py:recipe_error": f"{T} +traning.epochs=1",
    "run.py:evaluate": "evaluate run",
    "storage/decompress.py:check_text#2": f"train wide.csv {L}",
    "storage/decompress.py:check_text#3": "train binary.txt",
    "storage/encodings.py:_other": f"train cyrillic.csv {L}",
    "storage/encodings.py:_decoded": f"train cyrillic.csv {L} +data.encoding=utf-32",
    "tasks/conditional/recipe.py:check_resolved": f"train pairs.csv {P} +{K}=conditional",
    "tasks/prepare.py:prepare": "train --recipe empty.yaml",
    "tasks/seq2seq/model.py:_check": f"train pairs.csv {P}"
    " +model.num_layers=2 +model.decoder.num_layers=1 +model.decoder.bridge=copy",
    "tasks/sketch.py:sketching": f"{T} +model.hidden_size=900000000",
    "tasks/spec.py:generate": "generate run",
    "tasks/tagging/recipe.py:check": f"train tagged.jsonl {W} +{K}=tagging"
    " +model.feedback=output +model.bidirectional=true",
    "training/resume.py:recipe_changes#2": "train --resume run +training.learning_rate=0.5 +training.epochs=2",
    "training/run_folder.py:check_run_folder": "evaluate rum t.csv",
    "training/run_folder.py:taken": f"{T} --out full",
    "training/train.py:_resume": "train --resume run",
    "training/train.py:device_of": f"{T} +training.device=cuda",
}
"""A command line for each site whose hint holds a command; `+` stands for `--set`."""
DATA_ARE_AT_FAULT = {"data/forecasting/columns.py:resolve_columns#2"}
"""Where no option makes a model of such data: the hint names the rows that are wrong."""


@pytest.mark.parametrize("site", CASES)
def test_a_pasted_hint_works_or_leads_on(site: str, paste: Paste) -> None:
    found = paste(CASES[site])
    assert site in found.sites, (found.sites, found.said)
    assert len(found.commands) > 1, found.said
    assert found.ended == "well" or site in DATA_ARE_AT_FAULT, (found.commands, found.said)
