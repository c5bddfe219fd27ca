"""The head of the data is read once, whatever must be found out from it."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import polars as pl
import pytest

from ostinato.data.inference.kinds import kind_of
from ostinato.data.inference.sample import DataSample
from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.recipe import apply_overrides, build_recipe
from ostinato.storage import decompress
from ostinato.tasks.prepare import prepare

HOURS = [f"2020-01-{1 + i // 24:02} {i % 24:02}:00:00" for i in range(200)]
TABLES = {
    "classes": "text,label\n" + "".join(f"word{i} is good,{'pn'[i % 2]}\n" for i in range(150)),
    "texts": "text,said\n" + "".join(f"w{i},Say it {i} times\n" for i in range(150)),
    "names": "kind,text\n" + "".join(f"{'abc'[i % 3]},Say it {i} times\n" for i in range(150)),
    "series": "date,a,b\n" + "".join(f"{hour},{i},{i * 2}\n" for i, hour in enumerate(HOURS)),
    "steps": "who,t,x,mood\n" + "".join(f"s{i % 9},{9 - i // 9},{i},{'ud'[i // 9 % 2]}\n" for i in range(90)),
}


@pytest.mark.parametrize(
    ("table", "settings", "task"),
    [
        ("classes", ["data.input=text", "data.target=label", "training.epochs=1"], "classification"),
        ("texts", ["data.input=text", "data.target=said"], "seq2seq"),
        ("names", ["data.input=kind", "data.target=text"], "conditional"),
        ("series", ["model.horizon=3", "training.epochs=1"], "forecasting"),
        ("series", ["model.task=forecasting", "model.horizon=3", "training.epochs=1"], "forecasting"),
        ("steps", ["data.input=x", "data.session=who", "data.time=t", "data.target=mood"], "tagging"),
    ],
)
def test_a_file_is_opened_for_its_columns_for_its_head_and_to_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, settings: list[str], task: str
) -> None:
    """It was opened 19 times for classes, 17 for texts, 15 for names, 7 for series and 6 for steps. A plan that changes
    how rows are read reads them once more: here there is none."""
    path = tmp_path / "t.csv"
    path.write_text(TABLES[table])
    opened: list[Path] = []
    plain = decompress.open_binary

    def counting(path: Path, part: str | None = None) -> IO[bytes]:
        opened.append(path)
        return plain(path, part)

    monkeypatch.setattr(decompress, "open_binary", counting)
    prepared = prepare(build_recipe(apply_overrides({}, [f"data.train={path}", *settings])))
    assert prepared.recipe.model.task == task
    assert opened == [path] * 3


def _sample(path: Path, content: str) -> DataSample:
    path.write_text(content)
    return DataSample(open_source(path, BadRows()))


def test_the_first_rows_are_kept_and_bad_ones_not_recorded(tmp_path: Path) -> None:
    sample = _sample(tmp_path / "t.csv", "x,y\n1,a\n2\n3,\n")
    assert sample.rows("y", "x").rows() == [("a", "1"), (None, "3")]
    assert sample.cells("y").to_list() == ["a"]
    assert kind_of(sample, "x") == ("numbers", "its cells are numbers")
    sample.path.unlink()
    assert sample.rows("x")["x"].to_list() == ["1", "3"]
    assert sample.source.bad_rows.rows == []
    with pytest.raises(DataError, match="has no column `z`"):
        sample.rows("z")
    sample.path.write_text("x,y\n9,b\n")
    sample.close()
    assert sample.cells("x").to_list() == ["9"]


def test_more_blocks_may_be_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 8)
    sample = _sample(tmp_path / "t.csv", "x\n" + "".join(f"{number}\n" for number in range(20)))
    few, more = sample.rows("x")["x"].to_list(), sample.rows("x", num_blocks=3)["x"].to_list()
    assert 0 < len(few) < len(more) < 20
    assert more == [str(number) for number in range(len(more))]


def test_columns_that_are_stored_apart_are_read_apart(tmp_path: Path) -> None:
    """A column of bytes, which nothing could read, stops nobody who reads another."""
    pl.DataFrame({"text": ["a", "b"], "raw": [b"\x00", b"\x01"]}).write_parquet(tmp_path / "t.parquet")
    sample = DataSample(open_source(tmp_path / "t.parquet", BadRows()))
    assert sample.cells("text").to_list() == ["a", "b"]
    with pytest.raises(DataError, match=r"column `raw` .* holds bytes"):
        sample.cells("raw")
