"""Encodings: read right, or refused with those that are likely; never read as letters that nobody wrote."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.data.helpers import read, read_same

from ostinato.errors import DataError

RUSSIAN = "Мой дядя самых честных правил, когда не в шутку занемог, он уважать себя заставил. Ещё раз.\n"
GREEK = "Η θάλασσα είναι πλατιά και ο ουρανός καθαρός, πάμε μαζί ως την άκρη του κόσμου.\n"
CHINESE = "天下大势分久必合合久必分。今天天气很好，我们去公园散步。\n"
JAPANESE = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n"
KOREAN = "모든 사람은 자유롭게 태어났으며 존엄성과 권리에 있어 평등하다.\n"
POLISH = "Zażółć gęślą jaźń, proszę państwa, wszystko będzie dobrze jeśli się uśmiechniesz.\n"
QUOTED = "He said “yes” and left – it’s late, isn’t it?\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
        (RUSSIAN, "cp866"),
        (RUSSIAN, "iso8859_5"),
        (GREEK, "cp1253"),
        (CHINESE, "gb18030"),
        (CHINESE, "big5"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "iso2022_jp"),
        (KOREAN, "euc_kr"),
        (QUOTED, "cp1252"),
    ],
)
def test_the_likely_encodings_are_named_and_one_of_them_reads_it(tmp_path: Path, text: str, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((text * 20).encode(encoding, "ignore"))
    with pytest.raises(DataError, match="is neither UTF-8 nor Latin-1") as caught:
        read(path)
    likely = [line.strip().partition(":")[0] for line in caught.value.message.splitlines()[1:]]
    expected = text.strip().encode(encoding, "ignore").decode(encoding)
    rights = [one for one in likely if "".join(map(str, read(path, encoding=one).texts)).startswith(expected)]
    assert rights, likely
    assert (caught.value.hint or "").startswith(f"--set data.encoding={likely[0]}")


@pytest.mark.parametrize("encoding", ["cp1250", "iso8859_2"])
def test_latin_letters_of_another_code_page_are_not_latin_1(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes((POLISH * 20).encode(encoding))
    with pytest.raises(DataError, match="is neither UTF-8 nor Latin-1"):
        read(path)


@pytest.mark.parametrize(
    "text", ["Le café était fermé, garçon.\n", "Größe 5 m³, süß wie Öl, 20° heiß.\n", "¿Qué? año\n"]
)
def test_western_texts_are_read_as_latin_1(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.txt").write_bytes((text * 20).encode("latin-1"))
    found = read(tmp_path / "a.txt")
    assert ("".join(map(str, found.texts)), len(found.notes)) == (text * 20, 1)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_byte_order_mark_says_the_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nКафе,1\n天下,0\n".encode(encoding))
    assert read_same(path).rows == [("Кафе", "1"), ("天下", "0")]


@pytest.mark.parametrize("order", ["le", "be"])
def test_utf_16_without_a_mark_is_read_by_the_hint(tmp_path: Path, order: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nsome text,1\n".encode(f"utf-16-{order}"))
    with pytest.raises(DataError, match="are NUL") as caught:
        read(path)
    encoding = (caught.value.hint or "").rpartition("=")[2]
    assert read_same(path, encoding=encoding).rows == [("some text", "1")]


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "gb18030", "shift_jis", "utf-16-le", "utf-8", "iso2022_jp"])
def test_any_codec_is_read_in_pieces_of_any_size(tmp_path: Path, encoding: str) -> None:
    texts = {"gb18030": CHINESE, "shift_jis": JAPANESE, "iso2022_jp": JAPANESE}
    text = texts.get(encoding, RUSSIAN).strip().replace(",", "")
    (tmp_path / "a.csv").write_bytes(f"text,label\n{text},1\n{text},2\n".encode(encoding))
    assert read_same(tmp_path / "a.csv", encoding=encoding).rows == [(text, "1"), (text, "2")]


def test_bytes_that_an_encoding_does_not_have_are_a_bad_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("text,label\nДа,1\n".encode("cp1251") + b"\x98,0\n")
    found = read_same(path, encoding="cp1251")
    assert (found.rows, [one.partition(":")[0] for one in found.bad]) == ([("Да", "1")], ["3"])


def test_a_codec_that_can_not_be_right_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"text,label\nxy,1")
    with pytest.raises(DataError, match="can't be read as utf-16-le") as caught:
        read(tmp_path / "a.csv", encoding="utf-16-le")
    assert caught.value.hint == "to have it found: --set data.encoding=auto"
