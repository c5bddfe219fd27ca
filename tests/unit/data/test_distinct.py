"""Rows that repeat an earlier one, and tables without a header."""

from __future__ import annotations

from pathlib import Path

import pytest

from ostinato.data.dataset import Examples
from ostinato.errors import DataError
from ostinato.recipe import build_recipe
from ostinato.storage import decompress
from ostinato.tasks.prepare import prepare

_ROWS = ["EI,  ACGT", "EI,ACCT", "N,GGGT", "EI,acgt", "N,TTTT", "N,ACCT", "N,GGGT", "EI,CCCC"]


def _prepare(path: Path, said: list[str], **data: object) -> tuple[Examples, Examples]:
    recipe = {"data": {"train": str(path), "target": "label", "input": "dna", "validation": 0.2, **data}}
    prepared = prepare(build_recipe({**recipe, "features": {"input": {"kind": "dna"}}}), said.append)
    assert isinstance(prepared.train, Examples)
    assert isinstance(prepared.validation, Examples)
    return prepared.train, prepared.validation


@pytest.mark.parametrize("block_bytes", [10, 1 << 20])
def test_repeated_rows_are_left_out_and_contradictions_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int
) -> None:
    monkeypatch.setattr(decompress, "BLOCK_BYTES", block_bytes)
    path = tmp_path / "x.csv"
    path.write_text("label,dna\n" + "\n".join(_ROWS) + "\n")
    said: list[str] = []
    train, validation = _prepare(path, said, distinct=True)
    assert len(train) + len(validation) == 5
    assert "equal in dna to a row before, left out: 3 rows" in said
    assert f"of them with another label than the row before, which stays: 1 row: {path}:7 (N) and {path}:3 (EI)" in said
    lines = [int(part.location(r).rpartition(":")[2]) for part in (train, validation) for r in range(len(part))]
    assert sorted(lines) == [2, 3, 4, 6, 9]


def test_without_it_rows_stay(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("label,dna\n" + "\n".join(_ROWS) + "\n")
    said: list[str] = []
    assert sum(map(len, _prepare(path, said))) == 8
    assert not any("equal" in note for note in said)


def test_a_table_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("\n".join(_ROWS) + "\n")
    assert sum(map(len, _prepare(path, [], header=["label", "dna"]))) == 8
    with pytest.raises(DataError, match="has 2 fields, the table has 3"):
        _prepare(path, [], header=["label", "dna", "more"])
    with pytest.raises(DataError, match="does not apply to the format fasta"):
        _prepare(path, [], header=["label", "dna"], format="fasta")
