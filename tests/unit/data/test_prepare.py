"""From a recipe to encoded data: what is inferred, split, refused, set aside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.loading import load_documents, load_examples
from ostinato.data.rejects import BadRows
from ostinato.data.split import split_rows
from ostinato.data.vocabulary import END_ID
from ostinato.errors import DataError, RecipeError
from ostinato.recipe import build_recipe
from ostinato.storage import decompress
from ostinato.tasks.prepare import prepare


def _jsonl(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def _rows(count: int = 40) -> list[Any]:
    return [{"text": f"word{i} is {'good' if i % 2 else 'bad'}", "label": i % 2} for i in range(count)]


def _prepare(path: Path | str, say: list[str] | None = None, **data: Any) -> Prepared:
    settings = {"train": str(path), "input": "text", "target": "label", **data}
    given = {k: v for k, v in settings.items() if v is not None}
    recipe = build_recipe({"data": given, "training": {"epochs": 1}})
    return prepare(recipe, (say if say is not None else []).append)


def _examples(part: object) -> Examples:
    assert isinstance(part, Examples)
    return part


def test_a_classifier_is_inferred_and_nothing_is_left_open(tmp_path: Path) -> None:
    said: list[str] = []
    prepared = _prepare(_jsonl(tmp_path / "rows.jsonl", _rows()), said)
    assert (
        said
        == prepared.notes
        == [
            "model: classifier (there is a target column, label)",
            "input: text as words (the default of a classifier)",
            "target: class (`label` holds 2 different whole numbers)",
        ]
    )
    recipe = prepared.recipe
    assert (recipe.data.format, recipe.model.task, recipe.features.target.kind) == ("jsonl", "classification", "class")
    assert (recipe.features.input.unit, recipe.features.input.markup) == ("words", "remove")
    again = prepare(recipe)
    assert again.recipe == recipe
    train, validation = _examples(prepared.train), _examples(prepared.validation)
    assert (len(train), len(validation)) == (36, 4)
    assert sorted([*train.rows, *validation.rows]) == list(range(40))
    for part in (train, validation):
        assert part.targets is not None
        for index in range(len(part)):
            number = int(part.rows[index])
            assert part.location(index) == f"{tmp_path}/rows.jsonl:{number + 1}"
            assert part.preview(index) == _rows()[number]["text"]
            assert part.targets[index] == number % 2
            words = prepared.features.input.decode(part.sequences.row(index)).split()
            assert words[1:] == _rows()[number]["text"].split()[1:]
            assert (words[0] == "<unk>") == (part is validation)  # its own word was not in the training part


def test_blocks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _jsonl(tmp_path / "rows.jsonl", _rows(200))
    whole = _prepare(path)
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 100)
    blocks = _prepare(path)
    assert blocks.features.input.vocabulary.tokens == whole.features.input.vocabulary.tokens
    assert blocks.num_characters == whole.num_characters == sum(len(row["text"]) for row in _rows(200))
    for one, other in ((blocks.train, whole.train), (blocks.validation, whole.validation)):
        assert _examples(one).sequences.values.tolist() == _examples(other).sequences.values.tolist()
        assert _examples(one).rows.tolist() == _examples(other).rows.tolist()


def test_a_validation_file(tmp_path: Path) -> None:
    train = _jsonl(tmp_path / "train.jsonl", _rows())
    other = _jsonl(tmp_path / "other.jsonl", _rows(6))
    prepared = _prepare(train, validation=str(other))
    assert (len(_examples(prepared.train)), len(_examples(prepared.validation))) == (40, 6)
    loaded = load_examples(str(other), prepared.features, prepared.recipe)
    assert loaded.sequences.values.tolist() == _examples(prepared.validation).sequences.values.tolist()
    assert loaded.location(2) == f"{other}:3"


def test_bad_rows_stop_with_all_of_them_counted_and_twenty_listed(tmp_path: Path) -> None:
    rows: list[Any] = _rows()
    rows[4] = '{"text": "cut'
    rows[9] = {"text": None, "label": 1}
    rows[14] = {"text": "<br> ...", "label": 1}
    rows[19] = {"text": "fine"}
    rows[24] = {"text": "x" * 2_000_000, "label": 0}
    rows[29] = {"text": "a \0 b", "label": 0}
    path = _jsonl(tmp_path / "rows.jsonl", [*rows, *["{"] * 20])
    with pytest.raises(DataError) as caught:
        _prepare(path)
    assert caught.value.message.splitlines() == [
        "26 rows can't be used:",
        f"  {path}:5: invalid JSON: Unterminated string starting at at column 10",
        f"  {path}:10: no value in column `text`",
        f"  {path}:15: nothing is left of the text after cleaning",
        f"  {path}:20: no value in column `label`",
        f"  {path}:25: more than 1,000,000 characters",
        f"  {path}:30: holds a NUL character",
        *(
            f"  {path}:{n}: invalid JSON: Expecting property name enclosed in double quotes at column 2"
            for n in range(41, 55)
        ),
        "  … and 6 more",
    ]
    assert caught.value.hint == (
        "to allow longer rows: --set data.max_characters=2000000; to skip them: --set data.on_bad_row=skip"
    )
    said: list[str] = []
    prepared = _prepare(path, said, on_bad_row="skip")
    assert said[-1] == "set aside in rejected.jsonl: 26 rows"
    assert prepared.num_rejected == 26
    assert len(_examples(prepared.train)) + len(_examples(prepared.validation)) == 34
    prepared.bad_rows.write(tmp_path)
    rejected = [json.loads(line) for line in (tmp_path / "rejected.jsonl").read_text().splitlines()]
    assert [row["line"] for row in rejected[:6]] == [5, 10, 15, 20, 25, 30]
    assert rejected[0] == {
        "file": str(path),
        "line": 5,
        "reason": "invalid JSON: Unterminated string starting at at column 10",
        "excerpt": '{"text": "cut',
    }
    assert len(rejected[4]["excerpt"]) == 200


def test_rows_of_no_number_are_named(tmp_path: Path) -> None:
    rows: list[Any] = [{"text": f"w{i}", "label": i / 7} for i in range(1, 31)]
    rows[4]["label"], rows[6]["label"] = "good", "nan"
    path = _jsonl(tmp_path / "rows.jsonl", rows)
    recipe = {
        "data": {"train": str(path), "input": "text", "target": "label"},
        "features": {"target": {"kind": "number"}},
    }
    with pytest.raises(DataError) as caught:
        prepare(build_recipe(recipe))
    assert f"{path}:5: not a number: 'good'\n  {path}:7: not a number: 'nan'" in caught.value.message


def test_nothing_usable(tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "rows.jsonl", [{"text": "...", "label": 1}, {"text": "", "label": 0}])
    with pytest.raises(DataError, match="2 rows can't be used"):
        _prepare(path)
    with pytest.raises(DataError, match="holds no usable row") as caught:
        _prepare(path, on_bad_row="skip")
    assert (
        caught.value.hint == f"2 rows were set aside; the first: {path}:1: nothing is left of the text after cleaning"
    )
    (tmp_path / "rows.csv").write_text("text,label\n")
    with pytest.raises(DataError, match="holds no usable row"):
        _prepare(tmp_path / "rows.csv")


def test_labels_and_classes_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds one class only"):
        _prepare(_jsonl(tmp_path / "one.jsonl", [{"text": "a", "label": "x"}] * 20))
    train = _jsonl(tmp_path / "rows.jsonl", _rows())
    other = _jsonl(tmp_path / "other.jsonl", [*_rows(3), {"text": "x", "label": 7}])
    with pytest.raises(DataError, match=r"the validation data holds `7` in column `label` \(.*other.jsonl:4\)"):
        _prepare(train, validation=str(other))
    with pytest.raises(DataError, match="mixes types"):
        _prepare(_jsonl(tmp_path / "mixed.jsonl", [*_rows(), {"text": "x", "label": "good"}]))
    rare = _jsonl(tmp_path / "rare.jsonl", [*_rows(), {"text": "x", "label": 9}])
    held_out = {seed for seed in range(100) if 40 in split_rows(41, 0.1, seed)[1]}
    assert held_out
    with pytest.raises(
        DataError, match=r"validation part \(a random share .* too few rows of that class\?\) holds `9`"
    ):
        _prepare(rare, split_seed=min(held_out), stratify=False)


def test_rows_with_gaps_are_told_how_they_can_be_read(tmp_path: Path) -> None:
    rows = [{"text": [[1.5, None if n % 2 else 2.0]] * 3, "label": n % 3} for n in range(40)]
    path = _jsonl(tmp_path / "a.jsonl", rows)
    with pytest.raises(DataError, match=r"a.jsonl:2: step 1 of channel 2 is missing \(and 2 more\)\n") as caught:
        _prepare(path)
    assert "--set features.input.kind=series --set features.input.missing=mask" in str(caught.value.hint)
    recipe = {"data": {"train": str(path), "input": "text", "target": "label"}, "training": {"epochs": 1}}
    masked = build_recipe({**recipe, "features": {"input": {"kind": "series", "missing": "mask"}}})
    assert len(prepare(masked).whole) == 40
    path = _jsonl(path, [{"text": [[1.5, 2.0]] * 3 if n else [["x", 2.0]], "label": n % 3} for n in range(40)])
    with pytest.raises(DataError) as caught:
        _prepare(path)
    assert "missing" not in str(caught.value.hint)


def test_a_channel_that_does_not_change_is_said(tmp_path: Path) -> None:
    rows = "".join(f"{step},5,{step % 7 if step < 90 else 3}\n" for step in range(100))
    (tmp_path / "t.csv").write_text("time,still,moving\n" + rows)
    said: list[str] = []
    model = {"task": "forecasting", "horizon": 2, "lookback": 4}
    data = {"train": str(tmp_path / "t.csv"), "time": "time"}
    prepare(build_recipe({"data": data, "model": model, "training": {"epochs": 1}}), said.append)
    assert [text for text in said if "does not change" in text] == [
        "still does not change in the training part: there is nothing to learn of it"
    ]


def test_a_language_model_of_a_text(tmp_path: Path) -> None:
    text = "the island\r\nis far " * 50
    (tmp_path / "book.txt").write_bytes(text.encode())
    said: list[str] = []
    prepared = _prepare(tmp_path / "book.txt", said, input=None, target=None)
    assert said == [
        "model: language model (there is no target column)",
        "input: text as characters (the default of a language model)",
    ]
    train, validation = prepared.train.sequences.values, prepared.validation.sequences.values
    assert len(prepared.train) == len(prepared.validation) == 1
    clean = text.replace("\r\n", "\n")
    assert len(train) == int(len(clean) * 0.9)
    decoded = [prepared.features.input.decode(part) for part in (train, validation)]
    assert "".join(decoded) == clean
    other = load_documents(str(tmp_path / "book.txt"), prepared.features, prepared.recipe)
    assert prepared.features.input.decode(other.sequences.values) == clean


def test_a_language_model_of_rows_closes_each_and_cuts_where_the_vocabulary_ends(tmp_path: Path) -> None:
    rows = [{"text": chr(ord("a") + i) * (i + 1)} for i in range(10)]
    prepared = _prepare(_jsonl(tmp_path / "rows.jsonl", rows), target=None, validation=0.3)
    train, validation = prepared.train.sequences.values, prepared.validation.sequences.values
    stream = [*train, *validation]
    assert len(prepared.train) + len(prepared.validation) == 10 + (int(train[-1]) != END_ID)
    assert sum(token == END_ID for token in stream) == 10
    assert stream[-1] == END_ID
    assert stream[1] == END_ID
    assert len([t for t in train if t != END_ID]) == int(55 * 0.7)
    assert set(prepared.features.input.vocabulary.tokens[3:]) == {chr(ord("a") + i) for i in range(9)}
    assert prepared.features.documents


def test_too_short_for_a_language_model(tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text("abc")
    with pytest.raises(DataError, match="the validation text has 1 tokens; a language model needs at least 2"):
        _prepare(tmp_path / "book.txt", input=None, target=None)


@pytest.mark.parametrize(
    ("recipe", "said"),
    [
        ({"data": {}}, "`data.train` is not set"),
        ({"data": {"train": "rows.jsonl"}}, "`data.input` is not set. Columns of `rows.jsonl`:"),
        ({"data": {"train": "rows.jsonl", "input": "text"}, "model": {"task": "classification"}},
         "needs a target column"),
        ({"data": {"train": "rows.jsonl", "input": "text", "target": "label"}, "model": {"task": "language_model"}},
         "takes no target column"),
        ({"data": {"train": "rows.jsonl", "input": "text"}, "features": {"input": {"max_length": 9}}},
         "`features.input.max_length` does not apply to a language model"),
        ({"data": {"train": "book.txt"}, "features": {"input": {"emoticons": "append"}}}, "no rows to append to"),
    ],
)  # fmt: skip
def test_recipes_that_contradict_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: dict[str, Any], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    _jsonl(tmp_path / "rows.jsonl", _rows())
    (tmp_path / "book.txt").write_text("some text")
    with pytest.raises(RecipeError) as caught:
        prepare(build_recipe(recipe))
    assert said in caught.value.message


def test_a_folder_a_class_takes_its_label(tmp_path: Path) -> None:
    for label in ("neg", "pos"):
        (tmp_path / label).mkdir()
        for i in range(10):
            (tmp_path / label / f"{i}.txt").write_text(f"word {label} {i}")
    said: list[str] = []
    prepared = _prepare(tmp_path, said, input=None, target=None)
    assert said[0] == "target: label (the folder has one subfolder per class)"
    assert prepared.features.target is not None
    assert prepared.features.target.classes == ("neg", "pos")
    train = _examples(prepared.train)
    file = Path(train.location(0).removesuffix(":1"))
    assert train.preview(0) == file.read_text()


def test_splits() -> None:
    train, held_out = split_rows(103, 0.1, 7)
    assert (len(train), len(held_out)) == (93, 10)
    assert sorted([*train, *held_out]) == list(range(103))
    assert split_rows(103, 0.1, 7)[1].tolist() == held_out.tolist()
    assert split_rows(103, 0.1, 8)[1].tolist() != held_out.tolist()
    for count, fraction in ((4, 0.1), (1, 0.5), (3, 0.9)):
        with pytest.raises(DataError, match=rf"{count} rows? can't be split"):
            split_rows(count, fraction, 0)


def test_bad_rows_are_listed_file_after_file_by_line(tmp_path: Path) -> None:
    bad = BadRows()
    for file, line in (("b", 5), ("a", 9), ("b", 2)):
        bad.add(file, line, "reason")
    with pytest.raises(DataError) as caught:
        bad.check()
    assert caught.value.message == "3 rows can't be used:\n  b:2: reason\n  b:5: reason\n  a:9: reason"
    BadRows().write(tmp_path)
    assert not (tmp_path / "rejected.jsonl").exists()


def test_fewer_streams_than_asked_for_are_said(tmp_path: Path) -> None:
    (tmp_path / "short.txt").write_text("abcdefghij" * 2)
    said: list[str] = []
    _prepare(tmp_path / "short.txt", said, input=None, target=None)
    assert said[-1] == (
        "training.batch_size: 9 streams instead of 32: a stream has at least two tokens, and the training text 18"
    )
