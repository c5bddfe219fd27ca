"""`predict --out`: a table of the file's own columns and what is predicted."""

from __future__ import annotations

import csv
import datetime as dt
import json
from pathlib import Path

import polars as pl
import pytest
from tests.conftest import Cli

import ostinato
from ostinato.training.progress import Observer

TINY = {"model.hidden_size": 4, "model.embedding_dim": 4, "training.epochs": 1, "training.baselines_seconds": 0}
ROWS = [("a fine film", "pos"), ("a bad film", "neg"), ("what a bore", "neg"), ("warm and lovely", "pos")] * 10


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier, a tagger and a forecaster, and files to predict."""
    folder = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("ostinato.run.Run.report", lambda _: None)
        _write("t.csv", "text,label", *(",".join(row) for row in ROWS))
        _write("new.csv", "id,text,prediction", "7,a fine bore,=1+1", "8,,", "9,a lovely film,-2")
        _write("new.jsonl", json.dumps({"id": [1, 2], "text": "a fine bore"}))
        tagged = [{"sentence": text.split(), "tags": ["D", "A", "N"][: len(text.split())]} for text, _ in ROWS]
        _write("tags.jsonl", *map(json.dumps, tagged))
        _write("days.csv", "date,y", *(f"{dt.date(2021, 1, 1) + dt.timedelta(i)},{i % 7}" for i in range(60)))
        silent = {"observer": Observer()}
        ostinato.train("t.csv", input="text", target="label", settings=TINY, out="classifier", **silent)
        ostinato.train("tags.jsonl", input="sentence", target="tags", settings=TINY, out="tagger", **silent)
        sized = {"model.hidden_size": 4, "training.epochs": 1, "training.baselines_seconds": 0}
        short = {"model.horizon": 3, "model.lookback": 6}
        ostinato.train("days.csv", settings=sized | short, out="forecaster", **silent)
    return folder


def _write(name: str, *lines: str) -> None:
    Path(name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def test_columns_are_carried_through_beside_probabilities(runs: Path, cli: Cli, tmp_path: Path) -> None:
    said = cli("predict", runs / "classifier", "--file", runs / "new.csv", "--out", "said.csv",
               "--set", "data.on_bad_row=skip")  # fmt: skip
    assert (said.code, said.out) == (0, ""), said.err
    assert "wrote said.csv, 2 rows" in said.err
    rows = list(csv.DictReader((tmp_path / "said.csv").read_text().splitlines()))
    assert [(row["id"], row["text"], row["prediction"]) for row in rows] == [
        ("7", "a fine bore", "=1+1"),
        ("9", "a lovely film", "-2"),
    ]
    for row in rows:
        shares = {name: float(row[f"probability {name}"]) for name in ("neg", "pos")}
        assert row["prediction (predicted)"] == max(shares, key=lambda name: shares[name])
        assert sum(shares.values()) == pytest.approx(1)
    one = cli("predict", runs / "classifier", "a fine bore", "--json").out
    assert json.loads(one)["probabilities"]["pos"] == pytest.approx(float(rows[0]["probability pos"]))


def test_formulas_are_escaped_by_option(runs: Path, cli: Cli, tmp_path: Path) -> None:
    command = ("predict", runs / "classifier", "--file", runs / "new.csv", "--set", "data.on_bad_row=skip")
    assert cli(*command, "--out", "said.csv", "--escape-formulas").code == 0
    assert [row["prediction"] for row in csv.DictReader((tmp_path / "said.csv").read_text().splitlines())] == [
        "'=1+1",
        "'-2",
    ]
    refused = cli(*command, "--out", "said.jsonl", "--escape-formulas")
    assert "`--escape-formulas` only applies with `--out FILE.csv`" in refused.err


@pytest.mark.parametrize("suffix", [".jsonl", ".parquet", ".csv"])
def test_other_forms_and_files(runs: Path, cli: Cli, tmp_path: Path, suffix: str) -> None:
    said = cli("predict", runs / "classifier", "--file", runs / "new.jsonl", "--out", f"said{suffix}", "--json")
    assert json.loads(said.out) == {"out": f"said{suffix}", "rows": 1}
    if suffix == ".jsonl":
        row = json.loads((tmp_path / "said.jsonl").read_text())
        assert set(row["probabilities"]) == {"neg", "pos"}
    else:
        read = pl.read_parquet if suffix == ".parquet" else pl.read_csv
        row = read(tmp_path / f"said{suffix}").row(0, named=True)
        assert {"probability neg", "probability pos"} <= set(row)
    assert row["text"] == "a fine bore"
    assert row["prediction"] in ("neg", "pos")
    assert not list(tmp_path.glob(".*"))


def test_words_stand_beside_tags(runs: Path, cli: Cli, tmp_path: Path) -> None:
    for suffix in (".csv", ".jsonl"):
        said = cli("predict", runs / "tagger", "--file", runs / "tags.jsonl", "--out", f"said{suffix}")
        assert said.code == 0, said.err
    rows = list(csv.DictReader((tmp_path / "said.csv").read_text().splitlines()))
    assert [(row["row"], row["sentence"], row["tags"]) for row in rows[2:5]] == [
        ("1", "film", "N"),
        ("2", "a", "D"),
        ("2", "bad", "A"),
    ]
    assert cli("predict", runs / "tagger", '["a", "bore"]', "--out", "one.csv").code == 0
    assert (tmp_path / "one.csv").read_text().splitlines()[0] == "row,input,prediction,probability"
    assert {row["prediction"] for row in rows} <= {"D", "A", "N"}
    assert all(0 < float(row["probability"]) <= 1 for row in rows)
    first = json.loads((tmp_path / "said.jsonl").read_text().splitlines()[0])
    assert first["words"] == ["a", "fine", "film"]
    assert len(first["prediction"]) == 3


def test_forecasts_are_a_table_of_steps(runs: Path, cli: Cli, tmp_path: Path) -> None:
    said = cli("predict", runs / "forecaster", "--file", runs / "days.csv", "--out", "said.parquet")
    assert said.code == 0, said.err
    found = pl.read_parquet(tmp_path / "said.parquet")
    assert found.columns == ["series", "time", "y"]
    assert found["time"].to_list() == ["2021-03-02", "2021-03-03", "2021-03-04"]
    assert found["y"].dtype == pl.Float64


def test_rows_given_by_hand(runs: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("predict", runs / "classifier", "a fine film", "a bore", "--out", "said.csv").code == 0
    assert [row["input"] for row in csv.DictReader((tmp_path / "said.csv").read_text().splitlines())] == [
        "a fine film",
        "a bore",
    ]


def test_another_form_is_refused_with_the_list(runs: Path, cli: Cli, tmp_path: Path) -> None:
    refused = cli("predict", runs / "classifier", "--file", runs / "new.csv", "--out", "said.xlsx")
    assert refused.code == 1
    assert "`--out` must end in .csv, .jsonl, .parquet. Received: said.xlsx." in refused.err
    assert not (tmp_path / "said.xlsx").exists()
