"""Files that are dropped, what is said of them, and processes that train."""

from __future__ import annotations

import shutil
import sys
import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.conftest import Start

from ostinato.errors import RecipeError
from ostinato.serving.refused import RefusedError
from ostinato.serving.workshop import trainings
from ostinato.serving.workshop.describing import Choice, described_file
from ostinato.serving.workshop.files import Files, safe_name
from ostinato.serving.workshop.trainings import Trainings
from ostinato.serving.workshop.workshop import Workshop
from ostinato.storage.locks import FolderLock

OLD_RUN = Path(__file__).parents[2] / "fixtures/old_runs/classifier_text"
PAGE = {"x-ostinato": "page"}
_FILMS = "text,label\n" + "a fine film,good\na bad one,bad\n" * 8
_TRAINS = """
import pathlib, signal, sys
def stop(*_):
    print("interrupted; resume", file=sys.stderr)
    sys.exit(1)
signal.signal(signal.SIGINT, stop)
print("ready", " ".join(sys.argv[1:]), file=sys.stderr, flush=True)
signal.pause()
"""
_FAILS = "import sys; print('error: a column was expected. Received: none.\\nhint: --input text', file=sys.stderr)"


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("films.csv", "films.csv"),
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\my films.csv", "my_films.csv"),
        ("..", "file"),
        (".hidden", "hidden"),
        ("-rf.csv", "rf.csv"),
        ("a\0b\n.csv", "a_b_.csv"),
        ("überprüft.tar.gz", "überprüft.tar.gz"),
    ],
)
def test_names_are_made_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe
    assert len(safe_name("x" * 400 + ".tar.gz")) == 100
    assert safe_name("x" * 400 + ".tar.gz").endswith(".tar.gz")


def test_a_file_comes_in_parts_and_is_kept_once(tmp_path: Path) -> None:
    files = Files(tmp_path / "files", most_bytes=100)
    name = files.begin("../t.csv", 6)
    assert name == "t.csv"
    with pytest.raises(RefusedError, match="the part from byte 0 on"):
        files.part(name, 3, b"abc", 6)
    assert files.part(name, 0, b"abc", 6) is None
    with pytest.raises(RefusedError, match="of 6, was expected"):
        files.part(name, 3, b"defg", 6)
    with pytest.raises(RefusedError, match="dropped was expected"):
        files.find(name)
    assert files.part(name, 3, b"def", 6) == name
    assert files.find(name).read_bytes() == b"abcdef"
    second = files.begin("t.csv", 6)
    assert second == "t-2.csv"
    assert files.part(second, 0, b"abcdef", 6) == "t.csv"  # the same once more
    third = files.begin("t.csv", 3)
    assert files.part(third, 0, b"abc", 3) == third == "t-2.csv"
    with pytest.raises(RefusedError, match="at most 100 bytes"):
        files.begin("t.csv", 101)
    for bad in ("../t.csv", "t.csv/../t.csv", "no.csv", ".t.csv.partial"):
        with pytest.raises(RefusedError):
            files.find(bad)
        with pytest.raises(RefusedError):
            files.part(bad, 0, b"", 1)


def test_what_would_be_trained_is_inferred_and_can_be_changed(tmp_path: Path) -> None:
    path = tmp_path / "films.csv"
    path.write_text(_FILMS)
    found = described_file(path, Choice())
    assert (found["noun"], found["input"], found["target"]) == ("a classifier", "text", "label")
    assert found["choice"] == {"input": "text", "target": "label", "settings": []}
    assert found["notes"][0].startswith("columns: those that are likeliest")
    assert "model: classifier (there is a target column, label)" in found["notes"]
    assert found["command"] == f"ostinato train {path} --input text --target label"
    assert [column["name"] for column in found["columns"]] == ["text", "label"]
    changed = described_file(path, Choice(input="text", task="language_model"))
    assert (changed["task"], changed["target"], changed["problem"]) == ("language_model", None, None)
    wrong = described_file(path, Choice(input="tex", target="label"))
    assert wrong["task"] is None
    assert wrong["problem"]["title"] == "`films.csv` has no column `tex`. Columns: text, label."
    assert wrong["problem"]["hint"]
    sensors = Path(str(resources.files("ostinato.data"))) / "samples/sensors.csv"
    assert described_file(sensors, Choice())["task"] == "forecasting"


@pytest.mark.parametrize("setting", ["data.train=/etc/passwd", "data.test=x", "data={train: x}", "name=x", "x"])
def test_no_setting_of_the_page_names_a_file(setting: str) -> None:
    with pytest.raises(RecipeError, match="that name no file"):
        Choice(settings=(setting,)).words()


def _until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_training_is_watched_stopped_and_known_to_another_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainings, "PROGRAM", (sys.executable, "-c", _TRAINS))
    data, runs = tmp_path / "films.csv", tmp_path / "runs"
    data.write_text(_FILMS)
    first = Trainings(runs, tmp_path / "logs")
    assert first.start(data, Choice("text", "label", minutes=2)) == "films"
    _until(lambda: "ready" in (first.state("films") or {})["log"])
    assert f"train {data} --input text --target label --minutes 2 --out {runs / 'films'}" in first.state("films")["log"]  # type: ignore[index]
    assert first.pending() == {"films": "preparing"}
    with pytest.raises(RefusedError, match="came to no run"):
        first.forget("films")
    monkeypatch.setattr(trainings, "MOST_AT_ONCE", 1)
    with pytest.raises(RefusedError, match="at most 1 trainings"):
        first.start(data, Choice("text"))
    second = Trainings(runs, tmp_path / "logs")  # as after a restart
    second.stop("films")
    _until(lambda: not second.is_alive("films"))
    found = first.state("films")
    assert found is not None
    assert (found["alive"], "interrupted" in found["log"], found["problem"]) == (False, True, None)
    assert found["said"] == {"file": "films.csv", "input": "text", "target": "label", "minutes": 2, "settings": []}
    with pytest.raises(RefusedError, match="a run that trains"):
        second.stop("films")
    monkeypatch.setattr(trainings, "PROGRAM", (sys.executable, "-c", _FAILS))
    assert second.start(data, Choice("text")) == "films-2"
    _until(lambda: not second.is_alive("films-2"))
    problem = second.state("films-2")["problem"]  # type: ignore[index]
    assert (problem["title"], problem["detail"]) == ("a column was expected.", "Received: none.")
    assert problem["hint"] == "--input text"
    second.forget("films-2")
    assert second.pending() == {"films": "failed"}


def test_a_run_that_trains_elsewhere_is_not_resumed(tmp_path: Path) -> None:
    run = tmp_path / "runs/films"
    shutil.copytree(OLD_RUN, run)
    with FolderLock(run), pytest.raises(RefusedError, match="that does not train"):
        Trainings(tmp_path / "runs", tmp_path / "logs").resume(run)


def test_only_its_own_page_reaches_the_workshop(start: Start, tmp_path: Path) -> None:
    assert start().get("/v1/workshop", headers=PAGE).status_code == 404
    client: TestClient = start(workshop=Workshop(tmp_path))
    own = {**PAGE, "origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.get("/v1/workshop", headers=own).json()["samples"] == ["names.csv", "reviews.csv", "sensors.csv"]
    for foreign in (
        {},
        {**PAGE, "origin": "http://elsewhere.example"},
        {**PAGE, "origin": "null"},
        {**PAGE, "sec-fetch-site": "cross-site"},
    ):
        for path in ("files", "describe", "trainings", "trainings/x/stop", "samples/names.csv"):
            assert client.post(f"/v1/workshop/{path}", headers=foreign, json={}).status_code == 403
    assert not list(tmp_path.iterdir())


def test_a_sample_is_dropped_and_described(start: Start, tmp_path: Path) -> None:
    client = start(workshop=Workshop(tmp_path))
    said = client.get("/v1/runs").json()
    assert (said["runs"], said["trains"]) == ([], True)
    assert client.post("/v1/workshop/samples/names.csv", headers=PAGE).json() == {"file": "names.csv"}
    found = client.post("/v1/workshop/describe", headers=PAGE, json={"file": "names.csv"}).json()
    assert (found["task"], found["rows"]) == ("classification", 4064)
    assert client.post("/v1/workshop/describe", headers=PAGE, json={"file": "../x"}).status_code == 404
    announced = client.post("/v1/workshop/files", headers=PAGE, json={"name": "t.csv", "bytes": 4}).json()["file"]
    put = client.put(f"/v1/workshop/files/{announced}", params={"at": 0, "of": 4}, headers=PAGE, content=b"a\n1\n")
    assert put.json() == {"file": "t.csv"}


def test_runs_of_a_folder_are_opened_when_they_are_asked_for(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path / "runs")
    assert workshop.folders() == {}
    shutil.copytree(OLD_RUN, tmp_path / "runs/films")
    shutil.copytree(OLD_RUN, tmp_path / "runs/runs")
    shutil.copyfile(OLD_RUN / "recipe.yaml", tmp_path / "runs/recipe.yaml")
    assert list(workshop.folders()) == ["runs (itself)", "films", "runs"]


def test_rows_without_a_value_are_counted_where_each_must_have_one(tmp_path: Path) -> None:
    path = tmp_path / "gaps.csv"
    path.write_text(_FILMS + "of its own,\n,good\nso long,\n")
    chosen = Choice(input="text", target="label")
    assert described_file(path, chosen)["num_empty"] == 2
    assert described_file(path, Choice(input="text", task="language_model"))["num_empty"] == 0
    (tmp_path / "whole.csv").write_text(_FILMS)
    assert described_file(tmp_path / "whole.csv", chosen)["num_empty"] == 0
