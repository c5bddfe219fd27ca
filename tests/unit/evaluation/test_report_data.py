"""What the report says of a run's data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")

from ostinato.recipe import build_recipe
from ostinato.report.data import data_card
from ostinato.tasks.prepare import prepare


def _card(path: Path, rows: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = {"train": str(path), "input": "x", "target": "y"}
    return data_card(prepare(build_recipe({"data": data, **more})), [])


def test_sequences_of_one_length_are_told_without_a_plot(tmp_path: Path) -> None:
    rows = [{"x": [1.0 * n, 2.0, 3.0], "y": "pq"[n % 2]} for n in range(20)]
    card = _card(tmp_path / "t.jsonl", rows)
    assert (card["lengths"]["plot"], card["lengths"]["max"]) == (None, 3)
    assert card["counts"] == [
        {"name": "training", "rows": 18, "tokens": 54},
        {"name": "validation", "rows": 2, "tokens": 6},
    ]
    rows[0]["x"] = [1.0]
    assert "<svg" in _card(tmp_path / "t.jsonl", rows)["lengths"]["plot"]


def test_one_value_a_row_is_not_counted_as_steps(tmp_path: Path) -> None:
    rows = [{"x": f"country {n % 3}", "y": f"name {n}"} for n in range(20)]
    features = {"input": {"kind": "category"}, "target": {"kind": "text"}}
    card = _card(tmp_path / "t.jsonl", rows, features=features)
    assert [row["tokens"] for row in card["counts"]] == [None, None]
    assert (card["noun"], card["lengths"]) == ("rows", None)
