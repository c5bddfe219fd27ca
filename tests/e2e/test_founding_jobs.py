"""The two founding jobs from the command line and from Python, small but real, from a file to predictions and text."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from tests.conftest import Cli

import ostinato
from ostinato.errors import RunError
from ostinato.training.progress import Observer

SMALL = ("--set", "model.embedding_dim=16", "--set", "model.hidden_size=16", "--set", "training.num_threads=1")
FAST = (*SMALL, "--set", "training.learning_rate=0.01")


def test_sentiment_from_a_csv_file(cli: Cli, polarity: Path, tmp_path: Path) -> None:
    trained = cli("train", polarity, "--input", "text", "--target", "label", "--out", "run", *FAST,
                  "--set", "training.epochs=5", "--set", "model.pooling=[mean]")  # fmt: skip
    assert trained.code == 0, trained.err
    assert "input: text as words" in trained.err
    assert "model: classifier (there is a target column, label)" in trained.err
    assert "accuracy" in trained.out
    there = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"recipe.yaml", "model.safetensors", "features.json", "checkpoint", "log.jsonl", "report.html"} <= there

    evaluated = cli("evaluate", "run", polarity, "--json")
    metrics = json.loads(evaluated.out)
    assert metrics["num_examples"] == 600
    assert metrics["accuracy"] > 0.8  # 540 of the 600 are training rows
    steps = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    losses = [event["loss"] for event in steps if event["kind"] == "step"]
    assert len(losses) == 5 * 17
    assert sum(losses[-10:]) < 0.7 * sum(losses[:10])

    predicted = cli("predict", "run", "a warm and funny film", "dull , lifeless and too long", "--json")
    rows = [json.loads(line) for line in predicted.out.splitlines()]
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert sum(rows[0]["probabilities"].values()) == pytest.approx(1.0)
    from_stdin = cli("predict", "run", stdin="a warm and funny film\n")
    assert from_stdin.out.startswith("positive\t")


def test_python_and_the_command_line_are_one(cli: Cli, polarity: Path, tmp_path: Path) -> None:
    settings = {"model.hidden_size": 8, "model.embedding_dim": 8, "training.epochs": 1, "training.num_threads": 1}
    run = ostinato.train(
        polarity, input="text", target="label", settings=settings, out=tmp_path / "api", observer=Observer()
    )
    flags = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    assert cli("train", polarity, "--input", "text", "--target", "label", "--out", "cli", *flags).code == 0
    assert (tmp_path / "api/model.safetensors").read_bytes() == (tmp_path / "cli/model.safetensors").read_bytes()
    assert (tmp_path / "api/recipe.yaml").read_text() == (tmp_path / "cli/recipe.yaml").read_text()
    assert ostinato.load("cli").predict(["a film :)"]) == run.predict(["a film :)"])
    with pytest.raises(RunError, match="is a classifier; it writes nothing"):
        run.generate("x")


def test_book_to_new_text(cli: Cli, book: Path, tmp_path: Path) -> None:
    trained = cli(
        "train", book, "--out", "run", *FAST, "--set", "training.epochs=4", "--set", "training.batch_size=8", "--json"
    )
    assert trained.code == 0, trained.err
    assert "input: text as characters" in trained.err
    summary = json.loads(trained.out)
    bits = summary["validation"]["bits_per_character"]
    assert bits < 4.0  # the characters' own entropy is about 4.5 bits
    first, second, other = (
        cli("generate", "run", "--prompt", "The wind", "--max-new-tokens", 80, "--temperature", 0.8, "--seed", seed).out
        for seed in (1, 1, 2)
    )
    assert first == second != other
    assert first.startswith("The wind")
    assert len(first) == len("The wind") + 80 + 1
    scored = json.loads(cli("evaluate", "run", book, "--json").out)
    assert scored["num_tokens"] == 29_999
    assert cli("report", "run").out.strip().endswith("report.html")


def test_recipe_in_a_file_with_overrides(cli: Cli, polarity: Path, tmp_path: Path) -> None:
    made = cli("recipe", "init", polarity, "--input", "text", "--target", "label", "--out", "mine.yaml")
    assert made.code == 0
    assert cli("recipe", "show", "mine.yaml").code == 0
    trained = cli("train", "--recipe", "mine.yaml", *SMALL, "--set", "training.epochs=1")
    assert trained.code == 0, trained.err
    shown = cli("recipe", "show", "runs/polarity").out
    assert "name: polarity" in shown
    assert "hidden_size: 16" in shown
    assert "unit: words" in shown
    again = cli("train", "--recipe", "mine.yaml", *SMALL, "--set", "training.epochs=1")
    assert (tmp_path / "runs/polarity-2").is_dir(), again.err


@pytest.mark.parametrize("unit", ["characters", "subwords"])
def test_other_units_classify_too(cli: Cli, polarity: Path, unit: str) -> None:
    trained = cli("train", polarity, "--input", "text", "--target", "label", "--out", "run", *SMALL,
                  "--set", "training.epochs=1", "--set", f"features.input.unit={unit}",
                  "--set", "features.input.max_size=300")  # fmt: skip
    assert trained.code == 0, trained.err
    assert cli("predict", "run", "a fine film").code == 0


@pytest.mark.parametrize("unit", ["words", "subwords"])
def test_other_units_write_too(cli: Cli, book: Path, unit: str) -> None:
    trained = cli("train", book, "--out", "run", *SMALL, "--set", "training.epochs=1", "--set", "training.bptt=20",
                  "--set", f"features.input.unit={unit}", "--set", "features.input.max_size=300")  # fmt: skip
    assert trained.code == 0, trained.err
    assert cli("generate", "run", "--prompt", "the", "--max-new-tokens", 20).code == 0


def test_several_labels_and_regression(cli: Cli, polarity: Path, tmp_path: Path) -> None:
    with polarity.open(newline="") as lines:
        rows = list(csv.DictReader(lines))[:120]
    with (tmp_path / "rows.jsonl").open("w") as out:
        for row in rows:
            labels = [name for name in ("positive", "negative") if row["label"] == name] + ["long"] * (
                len(row["text"]) > 100
            )
            out.write(json.dumps({"text": row["text"], "labels": labels, "length": len(row["text"]) / 7}) + "\n")
    for target, key in (("labels", "micro_f1"), ("length", "r2")):
        trained = cli("train", "rows.jsonl", "--input", "text", "--target", target, "--out", target, *FAST,
                      "--set", "training.epochs=10", "--json")  # fmt: skip
        assert trained.code == 0, trained.err
        assert key in json.loads(trained.out)["validation"]
    assert json.loads(cli("predict", "length", "a film", "--json").out)["value"] > 0
    assert set(json.loads(cli("predict", "labels", "a film", "--json").out)["probabilities"]) == {
        "long", "negative", "positive"
    }  # fmt: skip


def test_rows_of_text_train_a_language_model_of_documents(cli: Cli, polarity: Path) -> None:
    trained = cli("train", polarity, "--input", "text", "--out", "run", *FAST, "--set", "training.epochs=1")
    assert trained.code == 0, trained.err
    assert cli("generate", "run", "--max-new-tokens", 2000, "--seed", 3).code == 0


def test_catalogue_description_and_info(cli: Cli, polarity: Path) -> None:
    listed = json.loads(cli("data", "list", "--json").out)
    assert {entry["name"] for entry in listed} >= {"imdb", "mysterious-island", "tiny-shakespeare", "jsb", "etth1"}
    assert cli("data", "fetch", "mysterious-island").out.strip().endswith("mysterious-island.txt")
    described = json.loads(cli("data", "describe", polarity, "--json").out)
    assert described["rows"] == 600
    assert [column["name"] for column in described["columns"]] == ["text", "label"]
    assert json.loads(cli("info", "--json").out)["backends"]["torch"] is None


def test_the_demo_writes_three_passages_and_a_report(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `make demo`, on the first pages of the book and for a few seconds."""
    from ostinato.data import catalog

    book = catalog.find("mysterious-island", "train").read_text(encoding="utf-8")
    (tmp_path / "mysterious-island.txt").write_text(book[:20_000], encoding="utf-8")
    monkeypatch.setenv("OSTINATO_DATA", str(tmp_path))
    done = cli("demo", "--minutes", 0.02)
    assert done.code == 0, done.err
    assert done.out.count("The island") == 3
    assert [f"temperature {t}" in done.err for t in (0.5, 0.8, 1.0)] == [True] * 3
    report = Path(done.out.strip().splitlines()[-1].removeprefix("report: "))
    assert report == tmp_path / "runs/demo/report.html"
    assert report.is_file()
