"""`ostinato diagnose` on both founding jobs, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tests.conftest import Cli, Result

import ostinato
from ostinato.errors import RecipeError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

DATA = Path(__file__).parent.parent / "data" / "polarity.csv"


def _train(out: Path, **settings: object) -> None:
    given = {"model.embedding_dim": 6, "model.hidden_size": 6, "training.epochs": 1, "training.num_threads": 1}
    pairs = [f"{key}={json.dumps(value)}" for key, value in {**given, **settings}.items()]
    train_recipe(build_recipe(apply_overrides({}, pairs)), out, Observer())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier and a small language model, as training left them."""
    folder = tmp_path_factory.mktemp("runs")
    _train(folder / "classifier", **{
        "data.train": str(DATA), "data.input": "text", "data.target": "label", "model.pooling": ["mean"],
        "model.bidirectional": True,
    })  # fmt: skip
    text = folder / "text.txt"
    text.write_text("".join(f"the {n} cats of {n * 7 % 11} houses sleep. " for n in range(300)), encoding="utf-8")
    _train(folder / "language", **{"data.train": str(text), "training.bptt": 16, "training.batch_size": 4})
    return folder


@pytest.fixture
def run(runs: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A copy to write into."""
    return Path(shutil.copytree(runs / request.param, tmp_path / "run"))


def _refused(result: Result, *said: str) -> None:
    assert result.code == 1, result
    assert result.out == ""
    assert "Traceback" not in result.err
    for text in said:
        assert text in result.err


@pytest.mark.parametrize("run", ["classifier", "language"], indirect=True)
def test_a_run_is_diagnosed_and_its_report_shows_it(cli: Cli, run: Path) -> None:
    weights = (run / "model.safetensors").read_bytes()
    result = cli("diagnose", run, "--rows", 8, "--steps", 30)
    assert result.code == 0, result.err
    for said in (
        "memory horizon",
        "gradient horizon",
        "layer 1",
        "Lyapunov exponent",
        "dead units",
        "gate time constants",
    ):
        assert said in result.out
    assert (run / "model.safetensors").read_bytes() == weights
    saved = json.loads((run / "diagnosis.json").read_text(encoding="utf-8"))
    assert saved["num_rows"] == 8
    assert saved["num_steps"] <= 30
    page = (run / "report.html").read_text(encoding="utf-8")
    section = page[page.index('<section id="diagnosis"') : page.index('<section id="recipe"')]
    changes = len(set(saved["training"]["clipping"]["share_by_step"])) > 1  # a share that never changed is not drawn
    assert section.count('<svg class="plot"') == 7 + changes + bool(saved["unused"])
    assert '<a href="#diagnosis">' in page
    for advice in saved["advice"]:
        assert advice["kind"].replace("_", " ") in result.out
        assert advice["change"] is None or f"<code>{advice['change']}</code>" in section


@pytest.mark.parametrize("run", ["language"], indirect=True)
def test_json_alone_and_the_same_from_python(cli: Cli, run: Path) -> None:
    result = cli("diagnose", run, "--rows", 4, "--steps", 20, "--seed", 3, "--json")
    assert result.code == 0, result.err
    printed = json.loads(result.out)
    assert printed == json.loads((run / "diagnosis.json").read_text(encoding="utf-8"))
    again = ostinato.load(run).diagnose(num_rows=4, num_steps=20, seed=3)
    assert again.to_dict() == printed
    other = ostinato.load(run).diagnose(num_rows=4, num_steps=20, seed=4)
    assert other.to_dict() != printed


@pytest.mark.parametrize("run", ["language"], indirect=True)
def test_other_data_and_a_report_that_can_not_be_written(cli: Cli, run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("the cats sleep of 7 houses. " * 40, encoding="utf-8")
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    (run / "recipe.yaml").write_text(recipe.replace("text.txt", "gone.txt"), encoding="utf-8")
    result = cli("diagnose", run, "--data", other, "--rows", 4, "--steps", 20)
    assert result.code == 0, result.err
    assert "no report: " in result.err
    assert (run / "diagnosis.json").is_file()
    _refused(cli("diagnose", run), "gone.txt")


@pytest.mark.parametrize("run", ["language"], indirect=True)
def test_what_is_refused(cli: Cli, run: Path, tmp_path: Path) -> None:
    assert cli("diagnose", run, "--rows", 0).code == 2
    assert "--rows" in cli("diagnose", run, "--rows", 0).err
    assert cli("diagnose", run, "--steps", 1).code == 2
    opened = ostinato.load(run)
    with pytest.raises(RecipeError, match=r"`num_rows` must be at least 1. Received: 0\."):
        opened.diagnose(num_rows=0)
    with pytest.raises(RecipeError, match=r"`num_steps` must be at least 2. Received: 1\."):
        opened.diagnose(num_steps=1)
    (tmp_path / "foreign").mkdir()
    _refused(cli("diagnose", tmp_path / "foreign"), "foreign")
    _refused(cli("diagnose", tmp_path / "nowhere"), "nowhere")
    short = tmp_path / "short.txt"
    short.write_text("th", encoding="utf-8")
    _refused(cli("diagnose", run, "--data", short), "needs at least 3 tokens of text")
    _refused(cli("diagnose", run, "--data", tmp_path / "none.txt"), "none.txt")
    assert not (run / "diagnosis.json").exists()
    (run / "log.jsonl").write_text("no json\n", encoding="utf-8")
    _refused(cli("diagnose", run), "log.jsonl:1")
    (run / "model.safetensors").write_bytes(b"damaged")
    _refused(cli("diagnose", run), "model.safetensors")
    (run / "model.safetensors").unlink()
    _refused(cli("diagnose", run), "training stopped before the first validation")


@pytest.mark.parametrize("run", ["classifier"], indirect=True)
def test_rows_that_the_model_can_not_read(cli: Cli, run: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("words,label\na film,positive\n", encoding="utf-8")
    _refused(cli("diagnose", run, "--data", rows), "text")
    rows.write_text("text,label\na film,unheard\n", encoding="utf-8")
    _refused(cli("diagnose", run, "--data", rows), "unheard")


@pytest.mark.parametrize("run", ["classifier"], indirect=True)
def test_a_damaged_diagnosis_is_named(cli: Cli, run: Path) -> None:
    (run / "diagnosis.json").write_text("{}", encoding="utf-8")
    _refused(cli("report", run), "diagnosis.json", "ostinato diagnose")
