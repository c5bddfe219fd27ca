"""Predictions of a long file, written in parts: the same table as at once, resumed after an interruption."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ostinato
from ostinato.cli import predicted, predicted_parts
from ostinato.run import Run
from ostinato.training.progress import Observer

ROWS = 23


class Said(Observer):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, text: str) -> None:
        """Kept."""
        self.notes.append(text)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("parts")
    texts = [f"{'=good' if row % 3 else 'bad'} film {row}" for row in range(ROWS)]
    rows = "".join(f"{text},{'p' if 'good' in text else 'n'},{row}\n" for row, text in enumerate(texts))
    (folder / "t.csv").write_text(f"text,label,number\n{rows}")
    settings = {"model.hidden_size": 4, "training.epochs": 1, "training.baselines_seconds": 0}
    given = {"input": "text", "target": "label", "out": folder / "run"}
    return ostinato.train(folder / "t.csv", settings=settings, observer=Observer(), **given)


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(predicted, "ROWS", 5)
    monkeypatch.setattr("ostinato.run._ROWS_AT_ONCE", 3)


def _write(run: Run, out: Path, said: Said | None = None, **asked: Any) -> int:
    data = str(run.folder.parent / "t.csv")
    return predicted.write_file(run, data, out, said or Said(), out.suffix == ".csv", asked)


def _at_once(run: Run, out: Path) -> bytes:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(predicted, "ROWS", predicted_parts.ROWS)
        assert _write(run, out) == ROWS
    return out.read_bytes()


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_parts_become_what_is_written_at_once(run: Run, tmp_path: Path, suffix: str, small_parts: None) -> None:
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    expected = _at_once(run, whole)
    assert _write(run, out) == ROWS
    if suffix == ".parquet":
        assert pl.read_parquet(out).equals(pl.read_parquet(whole))
    else:
        assert out.read_bytes() == expected
    assert {path.name for path in tmp_path.iterdir()} == {whole.name, out.name}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_what_was_interrupted_resumes(
    run: Run, tmp_path: Path, suffix: str, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, whole, parts = tmp_path / f"out{suffix}", Run.predict_parts, list[int]()

    def cut(self: Run, *given: Any, **named: Any) -> Iterator[Any]:
        for number, some in enumerate(whole(self, *given, **named)):
            if number == 4:
                raise KeyboardInterrupt
            yield some

    with monkeypatch.context() as patch:
        patch.setattr(Run, "predict_parts", cut)
        with pytest.raises(KeyboardInterrupt):
            _write(run, out)
    assert not out.exists()

    def counted(self: Run, *given: Any, **named: Any) -> Iterator[Any]:
        for some in whole(self, *given, **named):
            parts.append(len(some))
            yield some

    monkeypatch.setattr(Run, "predict_parts", counted)
    said = Said()
    assert _write(run, out, said) == ROWS
    assert any(note.startswith("10 rows were written") for note in said.notes)
    assert sum(parts) == ROWS - 10
    _at_once(run, tmp_path / f"whole{suffix}")
    read = {".csv": pl.read_csv, ".jsonl": pl.read_ndjson, ".parquet": pl.read_parquet}[suffix]
    assert read(out).equals(read(tmp_path / f"whole{suffix}"))


def test_parts_of_another_question_are_not_taken(run: Run, tmp_path: Path) -> None:
    parts = predicted_parts.PartFiles(tmp_path / "out.csv", {"asked": 1})
    parts.add(b"", 5)
    assert predicted_parts.PartFiles(tmp_path / "out.csv", {"asked": 1}).num_rows == 5
    other = predicted_parts.PartFiles(tmp_path / "out.csv", {"asked": 2})
    assert other.done == 0
    other.add(b"", 2)
    assert predicted_parts.PartFiles(tmp_path / "out.csv", {"asked": 1}).done == 0


def test_data_that_changed_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x\n1\n")
    before = predicted_parts.state_of(str(tmp_path)), predicted_parts.state_of(str(tmp_path / "a.csv"))
    (tmp_path / "a.csv").write_text("x\n1\n2\n")
    assert before[0] != predicted_parts.state_of(str(tmp_path))
    assert before[1] != predicted_parts.state_of(str(tmp_path / "a.csv"))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n")
    packed = predicted_parts.state_of(f"{tmp_path / 'a.zip'}#a.csv")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n2\n")
    assert packed != predicted_parts.state_of(f"{tmp_path / 'a.zip'}#a.csv")


def test_parts_of_another_file_do_not_stay(run: Run, tmp_path: Path) -> None:
    predicted_parts.PartFiles(tmp_path / "out.csv", {"asked": 1}).add(b"", 5)
    assert _write(run, tmp_path / "out.csv") == ROWS
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
