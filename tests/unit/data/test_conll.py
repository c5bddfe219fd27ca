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
        "12: a sentence is left out: this line has 7 columns, the file 10 (separated by tabs)",
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
    assert block.table.rows() == [(["a", "b"], ["O", "B-X"])]
    assert block.location(0) == (f"{tmp_path / 'both.zip'}#part/train.txt", 1)


def test_a_file_without_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no sentence"):
        open_source(_write(tmp_path / "x.conllu", "# only a comment\n"), BadRows()).columns()


VARIANTS = [  # file, columns, words of the first sentence, its usual target
    ("two columns", "we O\nsaw O\nAda B-PER\n\nno O\n", "form tag", "we saw Ada", "O O B-PER"),
    ("tabs", "we\tO\nsaw\tO\n\nno\tO\n", "form tag", "we saw", "O O"),
    ("CoNLL-2000", "we PRP B-NP\nsaw VBD B-VP\n", "form pos chunk", "we saw", "B-NP B-VP"),
    ("CoNLL-2003", "-DOCSTART- -X- O O\n\nwe PRP B-NP O\n", "form pos chunk ner", "we", "O"),
    ("counted from 1", "1\twe\tO\n2\tsaw\tO\n\n1\tno\tO\n", "id form tag", "we saw", "O O"),
    ("counted from 0", "0 we PRP O\n1 saw VBD O\n\n0 no DT O\n", "id form pos chunk", "we saw", "O O"),
    (
        "CoNLL-X",
        "1\tal\tel\tADP\ts\t_\t0\troot\t_\t_\n\n",
        "id form lemma upos xpos feats head deprel deps misc",
        "al",
        "ADP",
    ),
    (
        "parts of words",
        "# text = al no\n1-2\tal\t_\n1\ta\tADP\n2\tel\tDET\n2.1\tx\tX\n",
        "id form tag",
        "a el",
        "ADP DET",
    ),
    ("a heading", "token\tlabel\n\nwe\tO\nsaw\tO\n", "token label", "we saw", "O O"),
    ("a heading, no blank line", "Word Pos\nwe PRP\n", "word pos", "we", "PRP"),
    ("comments with an id", "# id 5b-9 domain=en\nwe _ _ O\nsaw _ _ O\n", "form pos chunk ner", "we saw", "O O"),
    ("named columns", "# global.columns = ID FORM NER\n1\twe\tO\n", "id form ner", "we", "O"),
    ("Windows", "we O\r\nsaw O\r\n\r\nno O\r\n", "form tag", "we saw", "O O"),
    ("words of two", "New York\tB-LOC\nsaw\tO\n", "form tag", "New York|saw", "B-LOC O"),
    ("no-break spaces", "10\u00a0000 CD\nsaw VBD\n", "form tag", "10\u00a0000|saw", "CD VBD"),
    ("tags first", "O\twe\nB-PER\tAda\n\nO\tno\n", "tag form", "we Ada", "O B-PER"),
    ("aligned", "we      PRP  O  \nsaw     VBD  O\n", "form pos chunk", "we saw", "O O"),
    ("a number sign", "# SYM O\n# = O\n", "form pos chunk", "# #", "O O"),
    ("numbers as words", "1 CD\n2 CD\n\n7 CD\n", "form tag", "1 2", "CD CD"),
]


@pytest.mark.parametrize(
    ("content", "columns", "words", "tags"), [row[1:] for row in VARIANTS], ids=[r[0] for r in VARIANTS]
)
def test_every_form_of_conll(tmp_path: Path, content: str, columns: str, words: str, tags: str) -> None:
    source = open_source(_write(tmp_path / "x.conll", content), BadRows())
    assert source.columns() == columns.split()
    [block, *_] = source.blocks([str(source.usual_input), str(source.usual_target)])
    assert block.table.row(0) == (words.split("|") if "|" in words else words.split(" "), tags.split())
    assert source.bad_rows.rows == []


@pytest.mark.parametrize("naming", ["", "FORM FORM"])
def test_columns_are_named_once_each(tmp_path: Path, naming: str) -> None:
    with pytest.raises(DataError, match=r"must name each column, once"):
        open_source(_write(tmp_path / "x.conll", f"# global.columns = {naming}\na O\n"), BadRows()).columns()


def test_columns_of_predicates_come_and_go_in_conll_2012(tmp_path: Path) -> None:
    lines = ["#begin document (bc/a); part 000"]
    for arguments in (["(V*)", "(ARG0*)"], [], ["(V*)"]):
        for number, (word, pos) in enumerate([("We", "PRP"), ("go", "VBP"), (".", ".")]):
            fixed = ["bc/a", "0", str(number), word, pos, "*", "-", "-", "-", "Ann", "*"]
            lines.append("   ".join([*fixed, *arguments, "(1)" if number == 0 else "-"]))
        lines.append("")
    path = _write(tmp_path / "a.conll", "\n".join([*lines, "#end document", ""]))
    found = read_same(path)
    assert (len(found.rows), found.bad) == (3, [])
    source = open_source(path, BadRows())
    assert source.columns()[-2:] == ["ner", "coref"]
    assert (source.usual_input, source.usual_target) == ("form", "pos")
    for row in found.rows:
        assert row[3:5] == (["We", "go", "."], ["PRP", "VBP", "."])
        assert row[11] == ["(1)", "-", "-"]
