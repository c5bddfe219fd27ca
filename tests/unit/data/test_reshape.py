"""Wide tables (a column a step) and long ones (a row a step), in blocks of any size."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest

import ostinato
from ostinato.data.readers.open import open_data
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.storage import decompress
from ostinato.tasks.prepare import inferred, prepare
from ostinato.training.progress import Observer

WIDE = "id,t0,t1,t2,label\na,1,2,3,up\nb,4,5,,up\nc,7,,9,down\nd,,,,down\ne,1,x,3,up\n"
LONG = """who,when,x,y,label
ann,2024-01-01T10:00:02,3,30,up
bob,2024-01-01T10:00:00,7,70,down
ann,2024-01-01T10:00:00,1,10,up
ann,2024-01-01T10:00:01,2,,up
bob,2024-01-01T10:00:05,8,80,down
"""


def _rows(path: Path, columns: list[str], bad: BadRows | None = None, **data: Any) -> list[tuple[Any, ...]]:
    recipe = build_recipe({"data": {"train": str(path), **data}})
    source = open_data(str(path), recipe, bad if bad is not None else BadRows(), lambda _: None)
    return [row for block in source.blocks(columns) for row in block.table.rows()]


@pytest.fixture(params=[40, 1 << 20], autouse=True)
def block_bytes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of one series may stand in different blocks."""
    monkeypatch.setattr(decompress, "BLOCK_BYTES", request.param)


def test_wide_tables_have_a_column_a_step(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    bad = BadRows()
    rows = _rows(path, ["t0:t2", "label"], bad, input="t0:t2")
    assert repr(rows) == repr(
        [([1.0, 2.0, 3.0], "up"), ([4.0, 5.0], "up"), ([7.0, math.nan, 9.0], "down"), ([], "down")]
    )
    assert [str(row) for row in bad.rows] == [f"{path}:6: `t1` is not a number: 'x'"]
    assert _rows(path, ["label"], input="t0:t2")[0] == ("up",)
    assert _rows(path, ["t0,t2"], BadRows(), input="t0,t2")[0] == ([1.0, 3.0],)


def test_long_tables_have_a_row_a_step(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(LONG)
    one = _rows(path, ["x", "label", "who"], input="x", session="who", time="when")
    assert one == [([1.0, 2.0, 3.0], "up", "ann"), ([7.0, 8.0], "down", "bob")]
    as_it_stands = _rows(path, ["x"], input="x", session="who")
    assert as_it_stands == [([3.0, 1.0, 2.0],), ([7.0, 8.0],)]
    two = _rows(path, ["x,y"], input="x,y", session="who", time="when")
    assert repr(two[0][0]) == "[[1.0, 10.0], [2.0, nan], [3.0, 30.0]]"
    assert _rows(path, ["x:y"], input="x:y", session="who", time="when")[1] == ([[7.0, 70.0], [8.0, 80.0]],)


def test_what_is_wrong_in_a_long_table_sets_its_session_aside(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("who,when,x\na,1,1\na,1,2\nb,1,3\nb,2,low\nc,1,5\nc,soon,6\n,3,1\nd,1,7\n")
    bad = BadRows()
    rows = _rows(path, ["x", "who"], bad, input="x", session="who", time="when")
    assert rows == [([7.0], "d")]
    assert [str(row).removeprefix(f"{path}:") for row in bad.in_order()] == [
        "2: session 'a' has two rows of one `when`",
        "5: `x` is not a number: 'low' (its session is set aside whole)",
        "7: `when` is neither a number nor a time: 'soon' (its session is set aside whole)",
        "8: no value in column `who` (its session is set aside whole)",
    ]


@pytest.mark.parametrize(("how", "values"), [("first", [1.0, 3.0]), ("mean", [1.5, 3.0]), ("sum", [3.0, 3.0])])
def test_rows_of_one_time_in_a_session(tmp_path: Path, how: str, values: list[float]) -> None:
    path = tmp_path / "long.csv"
    path.write_text("who,when,x\na,2,3\na,1,1\na,1,2\nb,1,3\nb,2,4\n")
    bad = BadRows()
    assert _rows(path, ["x"], bad, input="x", session="who", time="when", on_duplicate=how) == [
        (values,),
        ([3.0, 4.0],),
    ]
    assert not bad.rows
    _rows(path, ["x"], bad, input="x", session="who", time="when")
    assert list(bad.hints) == ["the mean of such rows: --set data.on_duplicate=mean"]


def test_a_column_that_changes_within_a_session_has_no_value(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("who,x,mood,label\na,1,good,up\na,2,bad,up\nb,3,good,down\n")
    recipe = build_recipe({"data": {"train": str(path), "input": "x", "session": "who"}})
    source = open_data(str(path), recipe, BadRows(), lambda _: None)
    found = [row for block in source.blocks(["x", "mood", "label"]) for row in block.table.rows()]
    assert found == [([1.0, 2.0], None, "up"), ([3.0], "good", "down")]
    assert source.notes == ["`mood` changes within 1 session, which have no value of it"]


def test_a_target_that_changes_within_a_session_labels_its_steps(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    lines = ["who,t,x,mood"]
    lines += [f"s{i % 9},{9 - i // 9},{i},{'up' if (i // 9) % 2 else 'down'}" for i in range(90)]
    path.write_text("\n".join(lines) + "\n")
    data = {"train": str(path), "input": "x", "session": "who", "time": "t", "target": "mood"}
    resolved = inferred(build_recipe({"data": data}))
    assert (resolved.model.task, resolved.features.target.kind) == ("tagging", "tags")
    assert _rows(path, ["x", "mood"], **data)[0] == ([81.0 - 9 * i for i in range(10)], ["up", "down"] * 5)
    prepared = prepare(build_recipe({"data": data}))
    assert len(prepared.train) + len(prepared.validation) == 9
    measured = [
        line if number == 0 else f"{line[: line.rindex(',')]},{number / 4}" for number, line in enumerate(lines)
    ]
    path.write_text("\n".join(measured) + "\n")
    assert inferred(build_recipe({"data": data})).features.target.kind == "series"
    assert _rows(path, ["mood"], **data)[0] == ([20.5 - 2.25 * i + 0.0 for i in range(10)],)
    path.write_text("\n".join(lines) + "\n")
    one_a_session = inferred(build_recipe({"data": {**data, "target": "who"}}))
    assert one_a_session.model.task == "classification"
    path.write_text("\n".join([*lines, "s0,20,7,", "t,1,5,up"]) + "\n")
    bad = BadRows()
    assert len(_rows(path, ["x", "mood"], bad, **data)) == 9  # all but s0, and t
    assert [str(row).removeprefix(f"{path}:") for row in bad.rows] == [
        "92: no value in column `mood` (its session is set aside whole)"
    ]


def test_what_can_not_be_meant_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    path.write_text(WIDE)
    with pytest.raises(DataError, match=r"there is no column `t9`, of which `data.input` = 't0:t9' is made"):
        _rows(path, ["label"], input="t0:t9")
    with pytest.raises(DataError, match="`t0` comes before `t2`"):
        _rows(path, ["label"], input="t2:t0")
    with pytest.raises(RecipeError, match=r"`data\.time` orders the rows of a `data\.session`"):
        _rows(path, ["label"], input="t0", time="id")
    with pytest.raises(RecipeError, match=r"`data\.input` is not set: the column of numbers"):
        _rows(path, ["label"], session="id")


def _long(path: Path, sessions: int) -> Path:
    draw = random.Random(0)
    lines = ["who,step,x,label"]
    for number in range(sessions):
        slope = draw.choice([-1, 1])
        for step in range(draw.randint(4, 9)):
            label = "up" if slope > 0 else "down"
            lines.append(f"s{number},{step},{slope * step + draw.gauss(0, 0.1):.3f},{label}")
    head, rest = lines[0], lines[1:]
    draw.shuffle(rest)
    path.write_text("\n".join([head, *rest]) + "\n")
    return path


def test_sessions_are_learnt_and_new_ones_predicted(tmp_path: Path) -> None:
    if decompress.BLOCK_BYTES < 1 << 20:
        pytest.skip("once is enough")
    path = _long(tmp_path / "walks.csv", 48)
    recipe = {
        "name": "walks",
        "data": {"train": str(path), "input": "x", "session": "who", "time": "step", "target": "label"},
        "model": {"hidden_size": 6},
        "training": {"epochs": 3, "batch_size": 8, "learning_rate": 0.03, "num_threads": 1},
    }
    assert inferred(build_recipe(recipe)).features.input.kind == "series"
    prepared = prepare(build_recipe(recipe))
    assert len(prepared.train) + len(prepared.validation) == 48
    run = ostinato.train(recipe=build_recipe(recipe), out=tmp_path / "run", observer=Observer())
    assert run.evaluate(path)["accuracy"] == 1.0
    again = ostinato.load(tmp_path / "run")
    assert [one.label for one in again.predict([[0.0, 1.1, 2.0, 2.9], [0.0, -0.9, -2.1]])] == ["up", "down"]
