"""Plain text: one document in any number of blocks, none of which cuts a token in two."""

from __future__ import annotations

import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.data.helpers import BLOCK_SIZES, Read, read

from ostinato.data.text import TextPipeline, resolve_text
from ostinato.recipe import TextRecipe

PARTS = st.sampled_from(
    ["word", "é", "日本", " ", "  ", "\n", "\r\n", "\n\n", "<br />", "<p\nid=1>", ":-)", "...", "< "]
)


def _text(found: Read) -> str:
    return "".join(text or "" for text in found.texts)


@settings(max_examples=150, deadline=None)
@given(st.lists(PARTS, min_size=1, max_size=60))
def test_blocks_join_to_the_document_and_to_the_same_tokens(parts: list[str]) -> None:
    document = "".join(["x", *parts])
    pipelines = [
        TextPipeline(resolve_text(TextRecipe(), "words")),
        TextPipeline(resolve_text(TextRecipe(markup="remove", punctuation="remove"), "characters")),
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.txt"
        path.write_bytes(document.encode())
        for size in BLOCK_SIZES:
            found = read(path, block_bytes=size)
            assert _text(found) == document.replace("\r\n", "\n")
            blocks = pl.Series(found.texts, dtype=pl.String)
            whole = pl.Series(["".join(blocks)])
            assert pipelines[0].words(blocks).values.to_list() == pipelines[0].words(whole).values.to_list()
            assert "".join(pipelines[1].text(blocks)) == pipelines[1].text(whole)[0]


def test_line_numbers_and_bad_lines(tmp_path: Path) -> None:
    lines = [f"line {i} é".encode() for i in range(1, 101)]
    lines[41] = b"nul \0 byte"
    lines[59] = b"caf\xe9"
    (tmp_path / "a.txt").write_bytes(b"\n".join(lines))
    whole = read(tmp_path / "a.txt")
    assert whole.bad == ["42: holds a NUL byte", "60: not valid UTF-8"]
    for size in BLOCK_SIZES:
        found = read(tmp_path / "a.txt", block_bytes=size)
        assert found.bad == whole.bad
        assert _text(found) == _text(whole)
    assert "line 41 é\n\nline 43 é" in _text(whole)


def test_blocks_know_their_first_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("".join(f"line {i}\n" for i in range(1, 2001)))
    found = read(tmp_path / "a.txt", block_bytes=500)
    assert found.num_blocks > 20
    for text, line in zip(found.texts[1:-1], found.lines[1:-1], strict=True):
        assert str(text).startswith(f"\nline {line + 1}\n")


@pytest.mark.parametrize("character", ["a", "é"])
def test_a_line_of_megabytes_without_any_space(tmp_path: Path, character: str) -> None:
    document = character * 2_500_000
    (tmp_path / "a.txt").write_text(document, encoding="utf-8")
    assert _text(read(tmp_path / "a.txt", block_bytes=100_000)) == document


def test_a_line_of_megabytes_is_cut_at_spaces(tmp_path: Path) -> None:
    document = "some words here " * 300_000
    (tmp_path / "a.txt").write_text(document)
    found = read(tmp_path / "a.txt", block_bytes=100_000)
    assert found.num_blocks > 1
    assert _text(found) == document
