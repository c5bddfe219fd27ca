"""FASTA and FASTQ: what becomes a row, a column, a class, and what is named as bad."""

from __future__ import annotations

import gzip
import lzma
import zipfile
from pathlib import Path

import polars as pl
import pytest

from ostinato.data.readers.registry import Source, open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.storage import decompress

_TWO = ">a first kind=x n=1\nACGT\nAC\n\n>b second kind=y z n=2\nGGT\n"


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _frame(source: Source) -> pl.DataFrame:
    return pl.concat([block.table for block in source.blocks(source.columns())])


def _bad(path: Path | str) -> list[str]:
    bad_rows = BadRows("skip")
    source = open_source(Path(path), bad_rows)
    list(source.blocks(source.columns()))
    return [str(row) for row in bad_rows.in_order()]


def test_records_over_several_lines_and_pairs_of_the_header(tmp_path: Path) -> None:
    source = open_source(_write(tmp_path / "x.fa", _TWO), BadRows())
    assert source.columns() == ["id", "description", "sequence", "kind", "n"]
    frame = _frame(source)
    assert frame["sequence"].to_list() == ["ACGTAC", "GGT"]
    assert frame["kind"].to_list() == ["x", "y z"]  # a value may hold blanks, as UniProt's do
    assert frame["description"].to_list() == ["first kind=x n=1", "second kind=y z n=2"]
    assert (source.usual_input, source.kind_of("sequence"), source.kind_of("kind")) == ("sequence", "dna", None)
    assert next(source.blocks(["id"])).lines.tolist() == [1, 5]


def test_a_pair_that_not_all_headers_hold_is_no_column(tmp_path: Path) -> None:
    source = open_source(_write(tmp_path / "x.fa", ">a n=1 m=2\nMKV\n>b m=2\nLLP\n"), BadRows())
    assert source.columns() == ["id", "description", "sequence", "m"]
    assert source.kind_of("sequence") == "protein"


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_compressed(tmp_path: Path, suffix: str) -> None:
    packed = gzip.compress(_TWO.encode()) if suffix == ".gz" else lzma.compress(_TWO.encode())
    (tmp_path / f"x.fasta{suffix}").write_bytes(packed)
    assert len(_frame(open_source(tmp_path / f"x.fasta{suffix}", BadRows()))) == 2


def test_blocks_end_between_records(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decompress, "BLOCK_BYTES", 7)
    rows = [(f"r{i}", "ACGT"[i % 4] * (i + 1)) for i in range(20)]
    path = _write(tmp_path / "x.fa", "".join(f">{name}\n{letters[:3]}\n{letters[3:]}\n" for name, letters in rows))
    source = open_source(path, BadRows())
    blocks = list(source.blocks(["id", "sequence"]))
    assert len(blocks) > 5
    assert pl.concat([block.table for block in blocks]).rows() == rows
    assert [line for block in blocks for line in block.lines.tolist()] == list(range(1, 60, 3))


def test_bad_records_are_named(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.fa", "hello\n>a\nACGT\n>b\n\n>c\nAC\n")
    assert _bad(path) == [f"{path}:1: text before the first header", f"{path}:4: record `b` is empty"]
    assert _frame(open_source(path, BadRows("skip")))["id"].to_list() == ["a", "c"]
    bad_rows = BadRows("stop")
    source = open_source(path, bad_rows)
    assert len(list(source.blocks(["sequence"]))) == 1
    with pytest.raises(DataError, match="record `b` is empty"):
        bad_rows.check()


def test_comments_before_the_first_header_are_passed_over(tmp_path: Path) -> None:
    assert _bad(_write(tmp_path / "x.fa", "; a comment\n\n>a\nACGT\n")) == []


def test_a_folder_is_one_file_a_class(tmp_path: Path) -> None:
    _write(tmp_path / "positive.fa", ">1\nACGT\n>2\nAC\n")
    (tmp_path / "negative.fa.gz").write_bytes(gzip.compress(b">3\nGG\n"))
    _write(tmp_path / "README", "what this is")
    source = open_source(tmp_path, BadRows())
    assert (source.format, source.usual_target) == ("fasta", "label")
    assert _frame(source).select("id", "label").rows() == [("3", "negative"), ("1", "positive"), ("2", "positive")]
    assert next(source.blocks(["id"])).location(2) == (str(tmp_path / "positive.fa"), 3)


def _three(folder: Path, labels: str = "HEC", mask: str = "101", other: str = "a") -> str:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        archive.writestr("s/seq.fasta", ">a\nMKV\n>b\nLL\n")
        archive.writestr("s/labels.fasta", f">{other} SET=train\n{labels}\n>b SET=test\nCC\n")
        archive.writestr("s/mask.fasta", f">a\n{mask}\n>b\n11\n")
    return f"{folder / 'x.zip'}#s/seq.fasta+s/labels.fasta+s/mask.fasta"


def test_a_folder_without_such_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(DataError, match=r"holds no FASTA file: \.fa"):
        open_source(tmp_path, BadRows(), format="fasta").columns()


def test_files_that_belong_together_are_columns_and_a_mask_hides_letters(tmp_path: Path) -> None:
    source = open_source(Path(_three(tmp_path)), BadRows())
    assert source.columns() == ["id", "description", "sequence", "labels", "mask", "SET"]
    assert _frame(source).select("sequence", "labels", "SET").rows() == [("MKV", "H-C", "train"), ("LL", "CC", "test")]
    assert (source.kind_of("labels"), source.kind_of("sequence")) == ("tags", "protein")


def test_files_that_do_not_go_together(tmp_path: Path) -> None:
    assert "record `a` has unequal lengths: 3 in seq, 2 in labels, 3 in mask" in _bad(_three(tmp_path, "HE"))[0]
    assert "the mask must hold 0 and 1. Received: '7' at position 3" in _bad(_three(tmp_path, mask="107"))[0]
    with pytest.raises(DataError, match="record 1 is `a` in seq, `c` in labels, `a` in mask"):
        _bad(_three(tmp_path, other="c"))


def test_fastq(tmp_path: Path) -> None:
    path = _write(tmp_path / "x.fastq", "@a run=1\nACGN\n+\nII@#\n@b run=2\nGG\n+b\n>>\n\n")
    source = open_source(path, BadRows())
    assert source.columns() == ["id", "description", "sequence", "quality", "run"]
    assert _frame(source).select("id", "sequence", "quality", "run").rows() == [
        ("a", "ACGN", "II@#", "1"),
        ("b", "GG", ">>", "2"),
    ]
    assert source.kind_of("sequence") == "dna"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ("@a\nACG\n+\nII\n", "has 3 letters, and qualities of 2"),
        ("@a\nACG\nx\nIII\n", "the third line of a record must begin with +"),
        (">a\nACG\n+\nIII\n", "a record must begin with @"),
        ("@a\n\n+\n\n", "record `a` is empty"),
        ("@a\nACG\n", "record `a` is cut off: it has 2 lines of four"),
    ],
)
def test_bad_fastq_records_are_named(tmp_path: Path, record: str, reason: str) -> None:
    path = _write(tmp_path / "x.fq", "@good\nAC\n+\nII\n" + record)
    assert _bad(path) == [f"{path}:5: {reason}"]


def test_a_doubtful_letter_or_a_mistake_makes_no_protein(tmp_path: Path) -> None:
    source = open_source(_write(tmp_path / "x.fa", ">a\nACGTNNRA\n>b\nACG?T\n"), BadRows())
    assert source.kind_of("sequence") == "dna"
