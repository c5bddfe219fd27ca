"""Runs of an earlier version answer as they did when it made them (tests/fixtures/old_runs)."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import Cli

import ostinato

OLD_RUNS = Path(__file__).parents[1] / "fixtures" / "old_runs"
EXPECTED: dict[str, dict[str, Any]] = json.loads((OLD_RUNS / "expected.json").read_text(encoding="utf-8"))
"""By run: what it is asked, and what it answered."""
MEDIA = {"audio": "soundfile", "video": "av"}
"""What reads the data of some runs, by the end of their names."""
RELATIVE, ABSOLUTE = 1e-5, 1e-6
AFTER_TRAINING = 1e-4
"""Relative, too: in training what was rounded adds up."""


def asked(key: str) -> list[str]:
    """The runs that are asked something."""
    return [name for name, questions in EXPECTED.items() if questions.get(key)]


@pytest.fixture
def run(request: pytest.FixtureRequest, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a run, a copy of which stands here beside its data."""
    name = str(request.param)
    pytest.importorskip(MEDIA.get(name.rpartition("_")[2], "json"))
    for part in (name, "data"):
        shutil.copytree(OLD_RUNS / part, tmp_path / part)
    monkeypatch.chdir(tmp_path)
    return name


def differences(expected: Any, found: Any, relative: float = RELATIVE, path: str = "") -> list[str]:
    """Where an answer is another one than expected. It may say more by name."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        missing = [f"{path}.{key}: missing" for key in expected if key not in found]
        there = [key for key in expected if key in found]
        return missing + [
            one for key in there for one in differences(expected[key], found[key], relative, f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(found, list | tuple):
        if len(expected) != len(found):
            return [f"{path}: {len(found)} parts, not {len(expected)}"]
        parts = enumerate(zip(expected, found, strict=True))
        return [one for number, (a, b) in parts for one in differences(a, b, relative, f"{path}[{number}]")]
    if isinstance(expected, float) and isinstance(found, int | float):
        same = math.isclose(expected, found, rel_tol=relative, abs_tol=ABSOLUTE)
        same |= math.isnan(expected) and math.isnan(found)
    else:
        same = expected == found
    return [] if same else [f"{path}: {found!r}, not {expected!r}"]


def test_every_run_is_asked() -> None:
    folders = {path.parent.name for path in OLD_RUNS.glob("*/recipe.yaml")}
    assert folders == set(EXPECTED)
    assert len(asked("resume")) == 3


@pytest.mark.parametrize("run", EXPECTED, indirect=True)
def test_an_old_run_opens_whole(run: str) -> None:
    opened = ostinato.load(run)
    assert sum(part.numel() for part in opened.model.parameters()) == EXPECTED[run]["num_parameters"]
    assert opened.summary["num_parameters"] <= EXPECTED[run]["num_parameters"]


@pytest.mark.parametrize("run", asked("predict"), indirect=True)
def test_an_old_run_predicts(run: str) -> None:
    question = EXPECTED[run]["predict"]
    found = [one.to_dict() for one in ostinato.load(run).predict(question["rows"])]
    assert differences(question["answers"], found) == []


@pytest.mark.parametrize("run", asked("predict_file"), indirect=True)
def test_an_old_run_predicts_a_file(run: str, cli: Cli) -> None:
    question = EXPECTED[run]["predict_file"]
    printed = cli("predict", run, "--file", question["file"], "--json")
    assert printed.code == 0, printed.err
    assert differences(question["answers"], [json.loads(line) for line in printed.out.splitlines()]) == []


@pytest.mark.parametrize("run", asked("evaluate"), indirect=True)
def test_an_old_run_is_evaluated(run: str) -> None:
    opened = ostinato.load(run)
    for question in EXPECTED[run]["evaluate"]:
        assert differences(question["metrics"], opened.evaluate(question["data"])) == []


@pytest.mark.parametrize("run", asked("generate"), indirect=True)
def test_an_old_run_generates(run: str, cli: Cli) -> None:
    for question in EXPECTED[run]["generate"]:
        printed = cli("generate", run, "--json", *question["arguments"])
        assert printed.code == 0, printed.err
        assert differences(question["printed"], json.loads(printed.out)) == []


@pytest.mark.parametrize("run", asked("resume"), indirect=True)
def test_an_old_run_goes_on(run: str) -> None:
    question = EXPECTED[run]["resume"]
    resumed = ostinato.resume(run, question["settings"])
    again = ostinato.load(run)
    for one in (resumed, again):
        assert one.summary["steps"] == question["steps"]
        assert differences(question["metrics"], one.evaluate(question["data"]), AFTER_TRAINING) == []
