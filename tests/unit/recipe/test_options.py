"""The table of all options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostinato import cells
from ostinato.cells.registry import _CELLS
from ostinato.cli.app import app
from ostinato.data.readers.registry import READERS

ROOT = Path(__file__).parents[3]


def _rows() -> dict[str, str]:
    found = CliRunner().invoke(app, ["recipe", "options"])
    assert found.exit_code == 0, found.output
    return dict(line.split(" | ", 1) for line in found.stdout.splitlines()[2:])


def test_every_option_with_what_it_needs() -> None:
    rows = _rows()
    assert rows["| `training.clip_history`"].startswith("`100` | ")
    assert rows["| `training.clip_history`"].endswith(" | `clip: adaptive` |")
    assert rows["| `model.decoder.bridge` (seq2seq)"].startswith("`linear` | ")
    assert rows["| `model.hidden_size`"].startswith("`128` | ")
    assert rows["| `model.output` (forecasting)"].startswith("`mse` | ")
    pooling = next(key for key in rows if key.startswith("| `model.pooling` (classification, conditional, "))
    assert rows[pooling].endswith("that is a sequence |")
    assert rows["| `data.on_gap`"].endswith("a column of time stamps |")
    assert rows["| `features.input.num_mels` (audio)"].startswith("`40` | log_mel, mfcc: filters | ")
    assert "| `features.target.unseen` (tags)" in rows


def test_cells_and_formats_are_those_of_their_registries(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = _rows()
    assert f": {', '.join(cells.names())} |" in rows["| `model.cell`"]
    assert f": {', '.join(READERS)} |" in rows["| `data.format`"]
    projected = [name for name in cells.names() if "proj_size" not in cells.get(name).undefined_options()]
    assert rows["| `model.proj_size`"].endswith(f"one of the cells {', '.join(projected)} |")
    monkeypatch.setitem(_CELLS._added, "a_new_cell", cells.get("elman"))
    assert ": a_new_cell, " in _rows()["| `model.cell`"]


def test_pages_list_the_cells_of_the_registry() -> None:
    """The table of cells has each of ours once, with its gates; the README names cells that there are."""
    ours = {name: cells.get(name) for name in cells.names() if type(cells.get(name)).__module__.startswith("ostinato.")}
    page = (ROOT / "docs" / "concepts" / "cells.md").read_text("utf-8")
    table = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([a-z, ]+) \|", page, re.MULTILINE)
    assert {name: tuple(gates.split(", ")) for name, gates in table} == {name: ours[name].gates for name in ours}
    assert len(table) == len(ours)
    named = re.search(r"Here: (.+?) networks", " ".join((ROOT / "README.md").read_text("utf-8").split()))
    assert named is not None
    titles = {re.sub(" network$", "", cell.title) for cell in ours.values()}
    assert set(re.split(r", | and ", named.group(1))) <= titles
