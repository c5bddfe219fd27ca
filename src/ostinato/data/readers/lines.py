"""Text files of one row a line: a file a class."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records, cut_records, line_ends, readable
from ostinato.data.readers.base import Source
from ostinato.data.rejects import counted
from ostinato.errors import DataError
from ostinato.storage.decompress import COMPRESSED, read_utf8

_SUFFIXES = (".txt", ".text")


class LinesSource(Source):
    """A folder of text files, or one: a row a line, in the columns `text` and `label`, the file's name without suffix.

    Lines are stripped and composed (Unicode's NFC, so that an accent typed apart is the same letter). Blank lines are
    passed over, and so is a line that its file holds already; the same text in two files makes two rows.
    """

    format = "lines"
    of_folders = True
    usual_input = "text"
    usual_target = "label"

    def kind_of(self, column: str) -> str | None:
        """Labels are names."""
        return "category" if column == "label" else None

    def _files(self) -> list[Path]:
        """The visible text files, by name."""
        if self.path.is_file():
            return [self.path]
        files = sorted(p for p in self.path.iterdir() if p.is_file() and not p.name.startswith("."))
        found = [p for p in files if _plain_name(p).lower().endswith(_SUFFIXES)]
        if len(found) < len(files):
            self.note(f"{self.path}: {counted(len(files) - len(found), 'file')} without the suffix .txt, left out")
        return found

    def _read_columns(self) -> list[str]:
        if not self._files():
            raise DataError(
                f"`{self.path}` holds no .txt files; the format `lines` reads one file per class, with one "
                "row per line.",
                hint="for one text per file, in one subfolder per class: --set data.format=folder",
            )
        return ["text", "label"]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        num_repeated = 0
        for file in self._files():
            seen: set[str] = set()
            for records in cut_records(read_utf8(file, self.encoding, self._found), line_ends, file):
                block, repeated = self._block(file, records, seen)
                num_repeated += repeated
                if len(block):
                    yield Block(block.table.select(columns), block.files, block.lines)
        if num_repeated:
            self.note(f"equal to an earlier line of the same file, left out: {counted(num_repeated, 'row')}")

    def _block(self, file: Path, records: Records, seen: set[str]) -> tuple[Block, int]:
        """The new lines among some records, and how many others there were before."""
        records = records.keep(readable(records, self.bad_rows, str(file)))
        texts: list[str] = []
        lines: list[int] = []
        repeated = 0
        for line, text in records.decoded():
            text = unicodedata.normalize("NFC", text.strip())
            if text in seen:
                repeated += 1
            elif text:
                seen.add(text)
                texts.append(text)
                lines.append(line)
        name = _plain_name(file)
        label = name.rpartition(".")[0] or name
        frame = pl.DataFrame({"text": texts}, schema={"text": pl.String}).with_columns(label=pl.lit(label))
        return Block(frame, (str(file),), np.asarray(lines, dtype=np.int64)), repeated


def _plain_name(path: Path) -> str:
    """The file's name without the suffix of its compression."""
    return path.stem if path.suffix.lower() in COMPRESSED else path.name
