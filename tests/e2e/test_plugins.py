"""What another package adds (`tests/plugin_example`, installed beside this one) does what a built-in does."""

from __future__ import annotations

import csv
import json
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Cli

from ostinato import cells

SETTINGS = ("model.cell=mgu", "model.embedding_dim=8", "model.hidden_size=8", "training.epochs=2",
            "training.num_threads=1", "training.learning_rate=0.01")  # fmt: skip
ADDED = (("cells", "mgu"), ("features", "morse"), ("readers", "ltsv"), ("tasks", "ordinal_regression"))
FAST = tuple(part for setting in SETTINGS for part in ("--set", setting))


@pytest.fixture(scope="module", autouse=True)
def _installed() -> None:
    if not all(entry_points(group=f"ostinato.{group}", name=name) for group, name in ADDED):
        pytest.fail("the example is not installed: python -m pip install --editable tests/plugin_example")


@pytest.fixture
def reviews(polarity: Path, tmp_path: Path) -> Path:
    with polarity.open(encoding="utf-8") as file:
        lines = ["\t".join(f"{name}:{value}" for name, value in row.items()) for row in csv.DictReader(file)]
    path = tmp_path / "reviews.ltsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_cell_and_a_reader_from_outside_live_a_whole_life(cli: Cli, reviews: Path, tmp_path: Path) -> None:
    trained = cli("train", reviews, "--input", "text", "--target", "label", "--out", "run", *FAST)
    assert trained.code == 0, trained.err
    recipe = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert "cell: mgu" in recipe
    assert "format: ltsv" in recipe
    assert "minimal gated network" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")

    metrics = json.loads(cli("evaluate", "run", reviews, "--json").out)
    assert metrics["num_examples"] == 600
    assert cli("predict", "run", "a warm and funny film").out.split("\t")[0] in ("positive", "negative")
    assert cli("report", "run").code == 0
    assert cli("verify", "run").code == 0
    diagnosed = json.loads(cli("diagnose", "run", "--json").out)
    gates = {gate["gate"] for layer in diagnosed["activations"] for gate in layer["gates"]}
    assert gates == {"z", "n"}
    resumed = cli("train", "--resume", "run", "--set", "training.epochs=3", "--force-recipe")
    assert resumed.code == 0, resumed.err


def test_the_reader_names_a_row_that_it_cant_read(cli: Cli, reviews: Path) -> None:
    reviews.write_text(reviews.read_text(encoding="utf-8") + "text:fine\tno label\n", encoding="utf-8")
    refused = cli("train", reviews, "--input", "text", "--target", "label", "--out", "run", *FAST)
    assert refused.code == 1
    assert "reviews.ltsv:601" in refused.err
    assert "a field has no `:` after its label" in refused.err
    assert cli("data", "describe", reviews).code == 0


def test_both_stand_in_the_lists(cli: Cli) -> None:
    found = json.loads(cli("info", "--json").out)
    assert found["cells"]["mgu"] == {
        "title": "minimal gated network",
        "backends": ["reference"],
        "undefined": ["proj_size"],
    }
    assert "ltsv" in found["readers"]
    options = cli("recipe", "options").out.splitlines()
    assert "mgu" in next(line for line in options if line.startswith("| `model.cell`"))
    assert "mgu" in next(line for line in options if line.startswith("| `model.chrono`"))
    assert "ltsv" in next(line for line in options if line.startswith("| `data.format`"))
    assert "mgu" in cells.names()


def test_a_format_that_no_reader_has_is_answered_with_the_nearest(cli: Cli, reviews: Path) -> None:
    refused = cli("train", reviews, "--out", "run", "--set", "data.format=ltsw")
    assert refused.code == 1
    assert "`data.format` must be one of auto, csv, " in refused.err
    assert "Received: 'ltsw'" in refused.err
    assert "did you mean ltsv?" in refused.err


def test_a_task_from_outside_lives_a_whole_life(cli: Cli, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    words = (["bad", "poor", "dull"], ["good", "fine", "warm"])
    rows = ["text,grade"]
    for grade in random.integers(1, 5, 240).tolist():
        said = [str(random.choice(words[int(random.random() < (grade - 0.5) / 4)])) for _ in range(9)]
        rows.append(f"{' '.join(said)},{grade}")
    (tmp_path / "grades.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    fast = [part for one in SETTINGS if "cell" not in one for part in ("--set", one)]
    asked = ("--set", "model.task=ordinal_regression", *fast, "--set", "training.epochs=6")
    trained = cli("train", "grades.csv", "--input", "text", "--target", "grade", "--out", "run", *asked)
    assert trained.code == 0, trained.err
    assert "the default of an ordinal regression" in trained.err

    metrics = json.loads(cli("evaluate", "run", "grades.csv", "--json").out)
    assert metrics["mae"] < 0.8  # the median grade: 1.0
    predicted = json.loads(cli("predict", "run", "good fine warm good fine warm", "--json").out)
    assert predicted["label"] == "4"
    assert sum(predicted["probabilities"].values()) == pytest.approx(1)
    compared = json.loads(cli("baselines", "run", "--json").out)
    assert [one["name"] for one in compared["baselines"]] == ["median grade"]
    assert json.loads(cli("diagnose", "run", "--json").out)["activations"]
    assert cli("verify", "run").code == 0
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "An ordinal regression" in page
    assert "mean absolute error" in page
    assert "median grade" in page
    resumed = cli("train", "--resume", "run", "--set", "training.epochs=7")
    assert resumed.code == 0, resumed.err

    wrong = (*asked, "--set", "model.members=3")
    refused = cli("train", "grades.csv", "--input", "text", "--target", "grade", "--out", "b", *wrong)
    assert "`model.members` does not apply to an ordinal regression. Received: 3." in refused.err
    options = cli("recipe", "options").out.splitlines()
    assert "ordinal_regression" in next(line for line in options if line.startswith("| `model.task`"))


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    """Messages in Morse code; those that are urgent hold SOS."""
    random = np.random.default_rng(0)
    letters = [".-", "-...", "-.-.", ".", "..-.", "--.", "-.", "-"]
    rows = ["signal,urgent"]
    for number in range(60):
        said = [*random.choice(letters, 6).tolist(), "/"]
        rows.append(f"{' '.join([*said, *(['...', '---', '...'] if number % 2 else said[:3])])},{number % 2}")
    path = tmp_path / "signals.csv"
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_a_feature_from_outside_lives_a_whole_life(cli: Cli, signals: Path, tmp_path: Path) -> None:
    morse = ("--input", "signal", "--target", "urgent", "--set", "features.input.kind=morse")
    fast = [part for one in SETTINGS if "cell" not in one for part in ("--set", one)]
    trained = cli("train", signals, *morse, "--out", "run", *fast, "--set", "training.epochs=8")
    assert trained.code == 0, trained.err
    recipe = (tmp_path / "run" / "recipe.yaml").read_text(encoding="utf-8")
    assert "kind: morse" in recipe
    assert "gaps: keep" in recipe
    assert json.loads(cli("evaluate", "run", signals, "--json").out)["accuracy"] > 0.9
    assert cli("predict", "run", "... --- ... / -").out.split("\t")[0] == "1"
    assert "'-.-.-.-' is no Morse code" in cli("predict", "run", "... -.-.-.-").err
    assert json.loads(cli("baselines", "run", "--json").out)["baselines"]
    assert cli("verify", "run").code == 0
    resumed = cli("train", "--resume", "run", "--set", "training.epochs=9")
    assert resumed.code == 0, resumed.err

    both = ("--set", "data.extra=[signal]", "--set", "features.extra.signal.kind=morse")
    refused = cli("train", signals, "--input", "urgent", "--target", "urgent", "--out", "b", *both)
    assert "name the same column" in refused.err  # as a further column it may be read so


def test_options_of_a_feature_from_outside_are_checked_and_listed(cli: Cli, signals: Path) -> None:
    def refused(*settings: str) -> str:
        return cli("train", signals, "--input", "signal", "--target", "urgent", "--out", "run",
                   *(part for one in settings for part in ("--set", one))).err  # fmt: skip

    assert "unknown key `features.input.gap`" in refused("features.input.kind=morse", "features.input.gap=drop")
    assert "did you mean gaps?" in refused("features.input.kind=morse", "features.input.gap=drop")
    wrong = refused("features.input.kind=morse", "features.input.gaps=some")
    assert "`features.input.gaps` must be one of 'keep' or 'drop'. Received: 'some'." in wrong
    assert "'numbers', 'morse'. Received: 'mors'." in refused("features.input.kind=mors")
    assert "`features.target.kind` must be one of" in refused("features.target.kind=morse")
    assert refused("features.input.gaps=drop").endswith(
        "--set features.input.gaps=drop --set features.input.kind=morse\n"
    )
    options = cli("recipe", "options").out
    assert "| `features.input.gaps` (morse) | `keep` |" in options
    assert "morse" in json.loads(cli("info", "--json").out)["features"]
    assert "MorseRecipe" in json.loads(cli("recipe", "schema").out)["$defs"]
