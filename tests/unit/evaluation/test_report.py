"""The report of every kind of run: complete, escaped, self-contained, the same each time."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from ostinato.errors import MissingLibraryError, RunError
from ostinato.tasks.classification import report as report_classifier
from ostinato.tasks.report_page import write_report

Trains = Callable[[str], Any]
CLASSIFIERS = ("two", "four", "labels", "number")
LANGUAGE_MODELS = ("characters", "words", "subwords", "documents")
KINDS = CLASSIFIERS + LANGUAGE_MODELS
VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """What a page holds, and whether its tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.html = html
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.text = ""
        self.tables = self.figures = 0
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for _, key, value in self.attributes if key == name]


def _write(trained: Any, folder: Path | None = None) -> Path:
    run, prepared = trained
    return write_report(folder or run.folder, run.recipe, run.features, run.model, prepared, run.device)


@pytest.fixture(scope="module")
def page(trained: Trains) -> Callable[[str], Page]:
    """The report of a kind of run, written once and read."""
    return cache(lambda kind: Page(_write(trained(kind)).read_text(encoding="utf-8")))


@pytest.mark.parametrize("kind", KINDS)
def test_is_well_formed_html_with_every_section(kind, page):
    found = page(kind)
    assert found.html.startswith("<!DOCTYPE html>")
    assert found.open == []
    ids = found.values("id")
    assert len(ids) == len(set(ids))
    assert {"data", "model", "learning", "results", "recipe"} <= set(ids)
    for target in found.values("href"):
        assert target.startswith("#")
        assert target[1:] in ids
    for title in ("Data", "Model", "Learning curves", "Results on the validation data", "Recipe", "Vocabulary"):
        assert title in found.text
    assert "embedding_dim: 4" in found.text


@pytest.mark.parametrize("kind", KINDS)
def test_loads_nothing_and_runs_nothing(kind, page):
    found = page(kind)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base"} & set(found.tags)
    assert not found.values("src")
    assert not [name for _, name, _ in found.attributes if name.startswith("on")]
    assert not re.search(r"url\((?!#)", found.html)
    assert "@import" not in found.html
    assert not [value for _, name, value in found.attributes if "http" in value.lower() and name != "http-equiv"]
    assert "default-src 'none'" in found.html


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_text_is_escaped(kind, page):
    found = page(kind)
    assert "<script" not in found.html.lower()
    assert "<b>one" not in found.html
    assert '<b>"run" & co' in found.text
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", found.html)


@pytest.mark.parametrize("kind", ["two", "labels", "number"])
def test_mistakes_show_the_text_as_it_was_and_where_it_stood(kind, trained, tmp_path, monkeypatch):
    monkeypatch.setattr(report_classifier, "_MOST_WRONG", 1000)
    found = Page(_write(trained(kind), tmp_path).read_text(encoding="utf-8"))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in found.html
    assert "{{ 7*7 }}" in found.text
    file = Path(str(trained(kind).run.recipe.data.train)).name
    assert re.search(re.escape(file) + r":\d+", found.text)


@pytest.mark.parametrize("kind", ["two", "documents"])
def test_is_the_same_each_time_and_leaves_model_and_random_numbers_alone(kind, page, trained):
    first = page(kind).html
    model = trained(kind).run.model
    model.train()
    state = torch.get_rng_state()
    assert _write(trained(kind)).read_text(encoding="utf-8") == first
    assert model.training
    assert torch.equal(torch.get_rng_state(), state)
    model.eval()


@pytest.mark.parametrize("kind", KINDS)
def test_plots_and_tables_are_described(kind, page):
    found = page(kind)
    plots = found.tags.count("svg")
    assert plots >= 4
    assert found.tags.count("figcaption") == plots
    labels = [value for tag, name, value in found.attributes if tag == "svg" and name == "aria-label"]
    assert len(labels) == plots
    assert all(labels)
    assert len(found.html.encode()) < 300_000
    headers = found.tags.count("th")
    assert len([1 for tag, name, _ in found.attributes if tag == "th" and name == "scope"]) == headers


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("two", ("validation accuracy", "Confusion matrix", "Calibration", "Class by class", "Most confidently wrong")),
        ("four", ("Confusion matrix", "Most frequent confusions", "$two^2$", "良い & co", "the truth at")),
        ("labels", ("micro F1", "Label by label", "macro AUC", "<i>x")),
        ("number", ("mean absolute error", "R²", "The largest errors", "Numbers to predict")),
        ("characters", ("bits per character", "Temperature 0.5", "Temperature 1.0", "along a passage", "␣")),
        ("words", ("bits per word", "Temperature 0.8")),
        ("subwords", ("bits per subword", "Temperature 0.8")),
        ("documents", ("bits per character", "documents", "∎")),
    ],
)
def test_shows_what_its_kind_needs(kind, expected, page):
    text = page(kind).text
    for words in expected:
        assert words in text


def test_says_in_one_sentence_what_was_learnt(page):
    def lead(kind: str) -> str:
        return re.sub(r"\s+", " ", re.search(r'<p class="lead">(.*?)</p>', page(kind).html, re.DOTALL)[1]).strip()

    assert lead("two") == (
        "Predicts <code>say &#34;&lt;u&gt;&#34;</code> (&lt;script&gt;bad()&lt;/script&gt;, good) "
        "from <code>text</code>, word by word, with a bidirectional LSTM."
    )
    assert lead("characters") == (
        "Predicts each character of <code>text</code> from those before it, with a two-layer LSTM."
    )


def test_figures_are_those_of_the_summary(page, trained):
    summary = trained("two").run.summary
    text = page("two").text
    assert f"{100 * summary['validation']['accuracy']:.1f} %" in text
    assert f"{summary['num_parameters']:,}" in text
    bits = trained("characters").run.summary["validation"]["bits_per_character"]
    assert f"{bits:.3f} bits per character" in page("characters").text


def test_a_run_that_has_neither_log_nor_summary_has_a_report(trained, tmp_path):
    path = _write(trained("characters"), tmp_path)
    assert path == tmp_path / "report.html"
    found = Page(path.read_text(encoding="utf-8"))
    assert "learning" not in found.values("id")
    bits = trained("characters").run.summary["validation"]["bits_per_character"]
    assert f"{bits:.3f} bits per character" in found.text


def test_a_summary_of_other_weights_is_not_believed(trained, tmp_path):
    run = trained("characters").run
    folder = tmp_path / "run"
    shutil.copytree(run.folder, folder)
    summary = (folder / "summary.json").read_text(encoding="utf-8")
    steps, bits = run.summary["steps"], run.summary["validation"]["bits_per_character"]
    summary = summary.replace(f'"steps": {steps}', f'"steps": {steps - 1}')
    summary = summary.replace('"nats_per_token": ', '"nats_per_token": 1', 1)
    (folder / "summary.json").write_text(summary, encoding="utf-8")
    path = _write(trained("characters"), folder)
    assert f"{bits:.3f} bits per character" in Page(path.read_text(encoding="utf-8")).text


def test_a_damaged_summary_is_named(trained, tmp_path):
    (tmp_path / "summary.json").write_text("{")
    with pytest.raises(RunError, match=r"summary\.json` is damaged"):
        _write(trained("two"), tmp_path)


@pytest.mark.parametrize("missing", ["matplotlib", "jinja2"])
def test_without_its_libraries_it_says_what_to_install(missing, trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingLibraryError) as caught:
        _write(trained("two"), tmp_path)
    assert caught.value.message == "the report needs matplotlib and jinja2, which are not installed."
    assert caught.value.hint == "pip install 'ostinato[report]'"
    assert not list(tmp_path.iterdir())
