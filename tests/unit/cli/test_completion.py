"""Shells complete options and the keys of recipes; neither that nor `--help` loads what it does not need."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ostinato.recipe.completion import completed

HEAVY = ("torch", "polars", "pydantic", "numpy")


def _loaded(words: list[str], **environment: str) -> tuple[str, set[str]]:
    """What `ostinato WORDS` prints, and which heavy packages it has loaded at the end."""
    code = (
        f"import sys; sys.argv = {['ostinato', *words]!r}\n"
        "from ostinato.cli import main\n"
        "try: main()\n"
        f"except SystemExit: print('loaded', *(one for one in {HEAVY!r} if one in sys.modules))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ | environment
    ).stdout
    text, _, loaded = said.rpartition("loaded")
    return text, set(loaded.split())


def test_help_loads_neither_recipes_nor_torch() -> None:
    text, loaded = _loaded(["--help"])
    assert "Train a model on a file" in text
    assert "--install-completion" in text
    assert loaded == set()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("train x.csv --set training.epo", ["training.epochs="]),
        ("train x.csv --set data.on_ga", ["data.on_gap="]),
        ("train x.csv --hidd", ["--hidden-size"]),
        ("predict run --esc", ["--escape-formulas"]),
        ("predict run --set training.epo", []),
    ],
)
def test_options_and_keys_are_completed_without_torch(typed: str, found: list[str]) -> None:
    words = f"ostinato {typed}"
    text, loaded = _loaded([], _OSTINATO_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(words.count(" ")))
    assert text.split() == found
    assert "torch" not in loaded


@pytest.mark.parametrize("words", [["evaluate", "no/such/run"], ["predict", "no/such/run", "fine"], ["verify", "none"]])
def test_what_is_no_run_is_told_without_torch(words: list[str]) -> None:
    assert "torch" not in _loaded(words)[1]


def test_values_of_keys_that_have_few() -> None:
    assert completed("data.on_duplicate=m") == ["data.on_duplicate=mean"]
    assert completed("model.bidirectional=") == ["model.bidirectional=true", "model.bidirectional=false"]
    assert completed("training.epochs=") == []
    assert set(completed("model.ta")) == {"model.task="}
