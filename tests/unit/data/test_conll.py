"""CoNLL and CoNLL-U files as sentences."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from tests.unit.data.helpers import read_same

from ostinato.data.readers.registry import open_source
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError

UD = """# newdoc id = one
# sent_id = 1
# text = I can't # go
1\tI\tI\tPRON\tPRP\t_\t4\tnsubj\t_\t_
2-3\tcan't\t_\t_\t_\t_\t_\t_\t_\t_
2\tca\tcan\tAUX\tMD\t_\t4\taux\t_\t_
3\tn't\tnot\tPART\tRB\t_\t4\tadvmod\t_\t_
4\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\t_
4.1\tgone\tgo\tVERB\tVB\t_\t_\t_\t_\t_

1\t#\t#\tSYM\tSYM\t_\t0\troot\t_\t_
2\t3-4\t3-4\tNUM\tCD\t_\t1\tnummod\t_\t_
"""


def _write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_conll_splits_at_blank_lines_and_names_columns_by_their_number(tmp_path: Path) -> None:
    text = "The DT B-NP\n# SYM I-NP\n\n\nhé VB B-VP\n \nlast NN B-NP"
    found = read_same(_write(tmp_path / "x.conll", text))
    assert found.rows == [
        (["The", "#"], ["DT", "SYM"], ["B-NP", "I-NP"]),
        (["hé"], ["VB"], ["B-VP"]),
        (["last"], ["NN"], ["B-NP"]),
    ]
    assert found.lines == [1, 5, 7]


def test_windows_line_ends_and_tabs(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path / "x.bio", "a\tO\r\nb\tB-X\r\n\r\nc\tO\r\n"))
    assert found.rows == [(["a", "b"], ["O", "B-X"]), (["c"], ["O"])]


@pytest.mark.parametrize(
    ("line", "columns", "target"),
    [
        ("a O", ["form", "tag"], "tag"),
        ("a NN B-NP", ["form", "pos", "chunk"], "chunk"),
        ("a NN B-NP B-PER", ["form", "pos", "chunk", "ner"], "ner"),
        ("a b c d e", ["form", "column2", "column3", "column4", "column5"], "column5"),
        ("# global.columns = FORM NER\na O", ["form", "ner"], "ner"),
        ("-DOCSTART- -X- -X- O\n\na NN B-NP O", ["form", "pos", "chunk", "ner"], "ner"),
    ],
)
def test_columns(tmp_path: Path, line: str, columns: list[str], target: str) -> None:
    source = open_source(_write(tmp_path / "x.conll", line + "\n"), BadRows())
    assert source.columns() == columns
    assert source.usual_target == target
    assert source.usual_input == "form"
    assert source.kind_of("form") == "tokens"
    assert source.kind_of(target) == "tags"
    assert [row[0] for row in read_same(tmp_path / "x.conll").rows] == [["a"]]


def test_a_sentence_with_another_number_of_columns_is_named_by_the_line(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path / "x.conll", "a O\nb O\n\nc O\nd\n\ne O\n"))
    assert [row[0] for row in found.rows] == [["a", "b"], ["e"]]
    assert found.bad == ["5: a sentence is left out: this line has 1 column, the file 2"]


def test_conllu_passes_over_comments_multiword_tokens_and_empty_nodes(tmp_path: Path) -> None:
    found = read_same(_write(tmp_path / "x.conllu", UD), ["form", "upos", "head"])
    assert found.rows == [
        (["I", "ca", "n't", "go"], ["PRON", "AUX", "PART", "VERB"], ["4", "4", "4", "0"]),
        (["#", "3-4"], ["SYM", "NUM"], ["0", "1"]),
    ]
    assert found.lines == [1, 11]
    source = open_source(tmp_path / "x.conllu", BadRows())
    assert (source.usual_input, source.usual_target) == ("form", "upos")
    assert len(source.columns()) == 10


def test_conllu_wants_ten_columns_between_tabs(tmp_path: Path) -> None:
    bad = UD.replace("1\tI\tI\tPRON\tPRP\t_\t4\tnsubj\t_\t_", "1\tI\tI\tPRON\t\t_\t4\tnsubj\t_\t_")
    bad = bad.replace("2\t3-4\t3-4\tNUM", "2 3-4 3-4 NUM")
    found = read_same(_write(tmp_path / "x.conllu", bad), ["form"])
    assert found.rows == []
    assert found.bad == [
        "4: a sentence is left out: column 5 of this line is empty (write _ for none)",
        "12: a sentence is left out: this line has 7 columns, the file 10 (they stand between tabs)",
    ]


def test_conllu_plus_names_its_columns(tmp_path: Path) -> None:
    text = "# global.columns = ID FORM UPOS MY:OWN\n1\ta\tDET\tx\n"
    found = read_same(_write(tmp_path / "x.conllup", text))
    assert found.rows == [(["1"], ["a"], ["DET"], ["x"])]


def test_compressed_files_and_members_of_archives(tmp_path: Path) -> None:
    (tmp_path / "x.conllu.gz").write_bytes(gzip.compress(UD.encode()))
    assert len(read_same(tmp_path / "x.conllu.gz", ["form"]).rows) == 2
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("part/train.txt", "a O\nb B-X\n")
    bad_rows = BadRows()
    source = open_source(Path(f"{tmp_path / 'both.zip'}#part/train.txt"), bad_rows, format="conll")
    [block] = list(source.blocks(["form", "tag"]))
    assert block.frame.rows() == [(["a", "b"], ["O", "B-X"])]
    assert block.location(0) == (f"{tmp_path / 'both.zip'}#part/train.txt", 1)


def test_a_file_without_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sentence"):
        open_source(_write(tmp_path / "x.conllu", "# only a comment\n"), BadRows()).columns()
