"""CoNLL: a word a line in columns, a blank line after each sentence; CoNLL-U: the same, of Universal Dependencies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records, newlines_of
from ostinato.data.readers.base import Source
from ostinato.data.tables.list_columns import list_column
from ostinato.errors import DataError

_NAMES_BY_NUMBER = {2: ("form", "tag"), 3: ("form", "pos", "chunk"), 4: ("form", "pos", "chunk", "ner")}
_UD = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_WORDS = ("form", "lemma", "word", "token")
_NAMING = "global.columns"
_DOCUMENT = "-DOCSTART-"
_SPACE = 0x20


class ConllSource(Source):
    """CoNLL: columns between blanks, one row a sentence, each column the list of its words or tags.

    Columns are called `form tag` where there are two, `form pos chunk` where there are three (CoNLL-2000), `form pos
    chunk ner` where there are four (CoNLL-2003), else `form column2 …`; a first line `# global.columns = FORM POS …`
    (CoNLL-U Plus) names them otherwise. Lines `-DOCSTART-` are passed over. The usual target is the last column.
    """

    format = "conll"
    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".iob2", ".bio")
    usual_input: ClassVar[str | None] = "form"

    @property
    def usual_target(self) -> str | None:  # type: ignore[override]
        """The last column."""
        columns = self.columns()
        return columns[-1] if len(columns) > 1 else None

    def kind_of(self, column: str) -> str | None:
        """Words are tokens, everything beside them is tags (which are tokens, too, where they are read)."""
        return "tokens" if column in _WORDS else "tags"

    def _read_columns(self) -> list[str]:
        for records in self._records(self._ends, glance=True):
            for index in range(len(records)):
                lines = _lines(records, index)
                named = next((line for line in lines if _NAMING in line and line.startswith("#")), None)
                if named is not None:
                    return named.partition("=")[2].lower().split()
                for line in filter(self._is_word, lines):
                    return self._names(len(self._cut(line)))
        raise DataError(f"`{self.path}` holds no sentence.", hint="CoNLL has one word a line, its columns after it")

    def _names(self, count: int) -> list[str]:
        """What `count` columns are called where the file does not say."""
        return list(_NAMES_BY_NUMBER.get(count) or ("form", *(f"column{k}" for k in range(2, count + 1))))

    def _cut(self, line: str) -> list[str]:
        return line.split()

    def _is_word(self, line: str) -> bool:
        """Whether a line holds a word, not a comment or a mark between documents."""
        return bool(line.strip()) and not line.startswith(_DOCUMENT) and not (line.startswith("#") and _NAMING in line)

    @staticmethod
    def _ends(raw: bytes) -> Offsets:
        """A sentence ends with a line that holds nothing but spaces."""
        after = newlines_of(raw) + 1
        filled = np.concatenate([[0], np.cumsum(np.frombuffer(raw, dtype=np.uint8) > _SPACE)])
        blank = np.diff(filled[after], prepend=0) == 0
        found: Offsets = after[blank]
        return found

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        names = self.columns()
        places = [names.index(name) for name in columns]
        for records in self._records(self._ends):
            cells: list[list[str]] = [[] for _ in columns]
            lines: list[int] = []
            lengths: list[int] = []
            for index in range(len(records)):
                words = self._sentence(records, index, len(names))
                if words:
                    for column, place in zip(cells, places, strict=True):
                        column.extend(word[place] for word in words)
                    lines.append(int(records.lines[index]))
                    lengths.append(len(words))
            if lines:
                frame = [
                    list_column(name, pl.Series(column, dtype=pl.String), np.asarray(lengths))
                    for name, column in zip(columns, cells, strict=True)
                ]
                yield Block(pl.DataFrame(frame), (self._place,), np.asarray(lines, dtype=np.int64))

    @property
    def _place(self) -> str:
        return f"{self.path}#{self.part}" if self.part else str(self.path)

    def _sentence(self, records: Records, index: int, num_columns: int) -> list[list[str]]:
        """The columns of each word; nothing for a bad sentence, which is recorded by the line at fault."""
        words: list[list[str]] = []
        for offset, line in enumerate(_lines(records, index)):
            if not self._is_word(line):
                continue
            cells = self._cut(line)
            problem = self._problem(cells, num_columns)
            if problem:
                self.bad_rows.add(self._place, int(records.lines[index]) + offset, problem, line)
                return []
            words.append(cells)
        return words

    def _problem(self, cells: list[str], num_columns: int) -> str | None:
        if len(cells) == num_columns:
            return None
        return f"a sentence is left out: this line has {_columns(len(cells))}, the file {num_columns}"


class ConlluSource(ConllSource):
    """CoNLL-U: ten columns between tabs, in lower case `id form lemma upos xpos feats head deprel deps misc`, `_` where
    there is none. Comments, multiword tokens (`3-4`) and empty nodes (`8.1`) are passed over: what is left are the
    syntactic words of Universal Dependencies. CoNLL-U Plus names other columns in its first line.

    Source: https://universaldependencies.org/format.html
    """

    format = "conllu"
    suffixes = (".conllu", ".conllup")

    @property
    def usual_target(self) -> str | None:  # type: ignore[override]
        """`upos`; in CoNLL-U Plus without it, the last column."""
        columns = self.columns()
        return "upos" if "upos" in columns else columns[-1]

    def _names(self, count: int) -> list[str]:
        return list(_UD)

    def _cut(self, line: str) -> list[str]:
        return line.rstrip("\r").split("\t")

    def _is_word(self, line: str) -> bool:
        if not line.strip() or line.startswith("#"):
            return False
        number = "".join(itertools.takewhile(lambda letter: letter not in "\t ", line))
        return not ("-" in number or "." in number) or not number.replace("-", "").replace(".", "").isdigit()

    def _problem(self, cells: list[str], num_columns: int) -> str | None:
        wrong = super()._problem(cells, num_columns)
        if wrong is None and not all(cells):
            return f"a sentence is left out: column {cells.index('') + 1} of this line is empty (write _ for none)"
        return f"{wrong} (they stand between tabs)" if wrong else None


def _lines(records: Records, index: int) -> list[str]:
    return records[index].decode("utf-8").split("\n")


def _columns(count: int) -> str:
    return "1 column" if count == 1 else f"{count} columns"
