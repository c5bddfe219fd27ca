"""What a notebook shows of a run: a card, plots on axes, its history, a bar; and a notebook that is executed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
import types
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import numpy as np
import polars as pl
import pytest

matplotlib.use("agg")
from matplotlib import pyplot

import ostinato
from ostinato.errors import MissingLibraryError, RunError
from ostinato.run import Run
from ostinato.training.progress import ConsoleObserver, Observer

SETTINGS = {"model.hidden_size": 4, "training.num_threads": 1, "training.epochs": 2}
TEXTS = pl.DataFrame({"text": ["a good film", "a bad film"] * 20, "mood": ["pos", "<neg>"] * 20})


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("notebook") / "run"
    return ostinato.train(
        TEXTS, input="text", target="mood", settings=SETTINGS, out=folder, observer=Observer(), report=False
    )


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Run:
    table = pl.DataFrame({"step": range(90), "a": np.sin(np.arange(90) / 3), "b": np.cos(np.arange(90) / 3)})
    settings = {**SETTINGS, "model.task": "forecasting", "model.horizon": 3, "model.lookback": 8, "data.time": "step"}
    folder = tmp_path_factory.mktemp("notebook") / "forecaster"
    return ostinato.train(table, settings=settings, out=folder, observer=Observer(), report=False)


@pytest.fixture(autouse=True)
def _no_figure_stays() -> Any:
    yield
    pyplot.close("all")


def test_the_card(run: Run) -> None:
    card = run._repr_html_()
    root = ElementTree.fromstring(card.replace("&nbsp;", " "))
    texts = " ".join(root.itertext())
    assert "classifier: an LSTM of 4 units" in texts
    assert "validation accuracy" in texts
    assert str(run.folder) in texts
    assert root.find(".//svg") is not None
    assert not re.search(r"<script|https?://|#[0-9a-f]{6}\b(?!;)|(?<!-)color:#", card.split("--green:#3f9a68")[1])


def test_the_card_of_a_run_that_is_not_done(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    again = Run(tmp_path / "<b>", run.recipe, run.features, run.model, run.device)
    again.folder.mkdir()
    card = again._repr_html_()
    assert "has not ended" in card
    assert "&lt;b&gt;" in card
    assert "<svg" not in card
    with pytest.raises(MissingLibraryError, match="a plot needs matplotlib"):
        again.plot.curves()


def test_history(run: Run) -> None:
    found = run.history
    assert found["epoch"].to_list() == [1, 2]
    assert found["training_loss"].is_finite().all()
    assert {"step", "loss", "accuracy", "elapsed_s"} <= set(found.columns)


def test_curves_and_gradients(run: Run) -> None:
    axes = run.plot.curves()
    assert axes.get_xlabel() == "step"
    validated = next(line for line in axes.lines if line.get_label() == "validation")
    assert np.asarray(validated.get_ydata()).tolist() == run.history["loss"].to_list()
    _, own = pyplot.subplots()
    assert run.plot.gradients(own) is own
    assert own.get_ylabel() == "gradient norm"
    assert (run.folder / "diagnosis.json").is_file()


def test_confusion(run: Run) -> None:
    axes = run.plot.confusion()
    counts = [int(text.get_text()) for text in axes.texts]
    assert np.asarray(counts).reshape(2, 2).tolist() == run.summary["validation"]["confusion"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["<neg>", "pos"]
    counts = [int(text.get_text()) for text in run.plot.confusion(TEXTS).texts]
    assert sum(counts) == len(TEXTS)
    assert not (run.folder / "evaluation.json").exists()
    with pytest.raises(RunError, match="a forecaster was expected"):
        run.plot.forecast()


def test_forecast(forecaster: Run) -> None:
    axes = forecaster.plot.forecast(channel=1)
    assert axes.get_ylabel() == "b"
    assert len(np.asarray(next(one for one in axes.lines if one.get_label() == "forecast").get_ydata())) == 3
    assert forecaster.plot.forecast(0, ax=axes) is axes
    with pytest.raises(RunError, match=r"`window` must be from -\d+ to \d+. Received"):
        forecaster.plot.forecast(999)
    with pytest.raises(RunError, match="a classifier was expected"):
        forecaster.plot.confusion()


def test_the_report_is_drawn_as_before(run: Run) -> None:
    page = run.report().read_text("utf-8")
    assert "var(--blue)" in page
    assert not re.search(r"(stroke|fill): #(?!ffffff)", page)


class _Shown:
    def __init__(self) -> None:
        self.pages: list[str] = []

    def update(self, page: str) -> None:
        self.pages.append(page)


def test_a_bar_that_is_updated_in_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = _Shown()
    display = types.ModuleType("IPython.display")
    display.HTML = str  # type: ignore[attr-defined]
    display.display = lambda page, display_id: shown  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    observer = ConsoleObserver()
    monkeypatch.setattr(observer.console, "is_jupyter", True)
    monkeypatch.setattr(observer.console, "print", lambda *args, **options: None)
    ostinato.train(
        TEXTS, input="text", target="mood", settings=SETTINGS, out=tmp_path / "run", observer=observer, report=False
    )
    assert 'value="0.0000"' in shown.pages[0]
    assert 'value="1.0000"' in shown.pages[-1]
    assert "epoch 2/2" in shown.pages[-1]


CELLS = """
import ostinato, polars as pl
from IPython.display import display
table = pl.DataFrame({"text": ["a good film", "a bad film"] * 20, "mood": ["pos", "neg"] * 20})
settings = {"model.hidden_size": 4, "training.num_threads": 1, "training.epochs": 1}
run = ostinato.train(table, input="text", target="mood", settings=settings, report=False)
run
"""


def test_a_notebook_is_executed(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    code = [CELLS, "run.plot.curves();", "run.history"]
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in code])
    nbclient.NotebookClient(book, timeout=120, resources={"metadata": {"path": str(tmp_path)}}).execute()
    first, second, third = (cell.outputs for cell in book.cells)
    pages = [one["data"].get("text/html", "") for one in first if "data" in one]
    assert any("<progress" in page for page in pages)
    assert "classifier" in pages[-1]
    assert any("image/png" in one.get("data", {}) for one in second)
    assert "training_loss" in third[-1]["data"]["text/html"]


def test_marimo_shows_the_same(run: Run) -> None:
    if importlib.util.find_spec("marimo") is None:
        pytest.skip("marimo is not installed")
    marimo = importlib.import_module("marimo")
    assert "classifier" in marimo.as_html(run).text
