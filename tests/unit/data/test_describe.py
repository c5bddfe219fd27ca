"""What is in a file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ostinato.cli.app import app
from ostinato.data.describe import describe
from ostinato.errors import DataError
from ostinato.storage import decompress


def test_a_table(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("text,label\ncafé noir,1\n,0\nthé,1\nbroken\n".encode("latin-1"))
    said: list[str] = []
    found = describe(str(path), said.append)
    assert said == [f"{path}: not UTF-8, read as Latin-1 (another: --set data.encoding=cp1250)"]
    assert (found["format"], found["encoding"], found["rows"]) == ("csv", "Latin-1", 3)
    assert found["columns"] == [
        {
            "name": "text",
            "values": 2,
            "distinct": "2",
            "mean_characters": 6.0,
            "longest": 9,
            "of": "characters",
            "example": "café noir",
        },
        {
            "name": "label",
            "values": 3,
            "distinct": "2",
            "mean_characters": 1.0,
            "longest": 1,
            "of": "characters",
            "example": "1",
        },
    ]
    assert found["bad_rows"] == [f"{path}:5: has 1 field, the header has 2"]


def test_a_text_is_one_row_however_many_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 50)
    (tmp_path / "a.txt").write_text("a line of text\n" * 100)
    found = describe(str(tmp_path / "a.txt"))
    assert (found["format"], found["encoding"], found["rows"]) == ("text", "UTF-8", 1)
    column = found["columns"][0]
    assert (column["values"], column["distinct"], column["longest"]) == (1, "1", 1500)


def test_very_many_columns_are_cut_short_for_the_eye_alone(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(100)]
    (tmp_path / "wide.csv").write_text(",".join(names) + "\n" + ",".join("x" * 100) + "\n")
    shown = CliRunner().invoke(app, ["data", "describe", str(tmp_path / "wide.csv")]).stdout.splitlines()
    assert [line.split()[0] for line in shown[2:32]] == names[:30]
    assert shown[32] == "… 60 more columns: --json"
    assert [line.split()[0] for line in shown[33:]] == names[90:]
    whole = CliRunner().invoke(app, ["data", "describe", str(tmp_path / "wide.csv"), "--json"]).stdout
    assert [one["name"] for one in json.loads(whole)["columns"]] == names


@pytest.mark.parametrize("target", ["loop.csv", "nothing.csv"])
def test_a_link_that_leads_nowhere_is_no_misspelling(tmp_path: Path, target: str) -> None:
    (tmp_path / "loop.csv").symlink_to(tmp_path / target)
    with pytest.raises(DataError, match=rf"is a link to `.*{target}`, which leads to no file") as found:
        describe(str(tmp_path / "loop.csv"))
    assert found.value.hint is None
