"""A folder of one file a class, one row a line; a validation share drawn from each class alike."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.data.split import split_fold, split_rows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.tasks.prepare import prepare


def _rows(path: Path, bad_rows: BadRows | None = None) -> tuple[list[tuple[str, str, int]], list[str]]:
    source = open_source(path, bad_rows or BadRows("skip"), format="lines")
    rows = []
    for block in source.blocks(["label", "text"]):
        lines = [block.location(row)[1] for row in range(len(block))]
        rows += list(zip(block.table["text"], block.table["label"], lines, strict=True))
    return rows, source.notes


def _names(folder: Path) -> Path:
    folder.mkdir()
    (folder / "Irish.txt").write_text("O'Neal\n\nBrady\nO'Neal\n  Brady \n", encoding="utf-8")
    (folder / "French.txt.gz").write_bytes(gzip.compress("Rene\u0301\nBrady\nRen\u00e9\n".encode()))
    (folder / "README.md").write_text("about")
    return folder


def test_rows_are_lines_labelled_by_their_file(tmp_path: Path) -> None:
    rows, notes = _rows(_names(tmp_path / "names"))
    assert rows == [
        ("René", "French", 1),
        ("Brady", "French", 2),
        ("O'Neal", "Irish", 1),
        ("Brady", "Irish", 3),
    ]
    assert any("1 file without the suffix .txt, left out" in note for note in notes)
    assert "equal to an earlier line of the same file, left out: 3 rows" in notes


def test_one_file_may_be_read_so_too(tmp_path: Path) -> None:
    folder = _names(tmp_path / "names")
    assert [row[:2] for row in _rows(folder / "Irish.txt")[0]] == [("O'Neal", "Irish"), ("Brady", "Irish")]


def test_a_line_that_is_no_text_is_named(tmp_path: Path) -> None:
    folder = _names(tmp_path / "names")
    (folder / "Greek.txt").write_bytes(b"Adamou\nAd\0\n")
    bad_rows = BadRows("skip")
    rows, _ = _rows(folder, bad_rows)
    assert ("Adamou", "Greek", 1) in rows
    assert [(Path(row.file).name, row.line, row.reason) for row in bad_rows.rows] == [
        ("Greek.txt", 2, "holds a NUL byte")
    ]


def test_folders_without_lines_are_refused(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(DataError, match=r"holds no \.txt files; the format `lines` reads one file per class"):
        open_source(empty, BadRows(), format="lines").columns()
    (empty / "Dutch.txt").write_text("\n\n")
    with pytest.raises(DataError, match=r"Dutch\.txt` is empty"):
        _rows(empty)


def test_each_class_gives_its_share_and_groups_stay_together() -> None:
    classes = pl.Series(["a"] * 100 + ["b"] * 40 + ["c"] * 3)
    groups = pl.Series([f"{row // 2}" for row in range(143)])
    training, held_out = split_rows(143, 0.1, 5, groups, classes)
    assert sorted([*training, *held_out]) == list(range(143))
    counts = dict(zip(*np.unique(classes.gather(pl.Series(held_out)).to_numpy(), return_counts=True), strict=True))
    assert counts == {"a": 10, "b": 4}
    assert not {groups[int(i)] for i in training} & {groups[int(i)] for i in held_out}
    folds = [split_fold(143, fold, 10, 5, None, classes)[1] for fold in range(1, 11)]
    assert sorted(np.concatenate(folds).tolist()) == list(range(143))
    assert {int((fold < 100).sum()) for fold in folds} == {10}
    with pytest.raises(DataError, match=r"no class has enough rows to hold out a share of 0\.1"):
        split_rows(12, 0.1, 0, None, pl.Series([*"abcd"] * 3))


def _recipe(folder: Path, **data: object) -> dict[str, object]:
    return {
        "data": {"train": str(folder), "format": "lines", "validation": 0.2, "stratify": True, **data},
        "features": {"input": {"unit": "characters"}},
    }


def test_stratified_rows_need_classes(tmp_path: Path) -> None:
    folder = tmp_path / "names"
    folder.mkdir()
    (folder / "A.txt").write_text("".join(f"a{i}\n" for i in range(50)))
    (folder / "B.txt").write_text("".join(f"b{i}\n" for i in range(10)))
    prepared = prepare(build_recipe(_recipe(folder, group="text")))
    assert np.bincount(prepared.validation.targets.astype(int)).tolist() == [10, 2]  # type: ignore[union-attr]
    other = _recipe(folder) | {"features": {"target": {"kind": "number"}}}
    with pytest.raises(RecipeError, match=r"`data.stratify` only applies with a target of classes"):
        prepare(build_recipe(other))
    with pytest.raises(RecipeError, match=r"`data.stratify` only applies with a `validation` that is a share"):
        prepare(build_recipe(_recipe(folder, validation=str(folder))))
