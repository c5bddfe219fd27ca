"""CoNLL: a word a line in columns, a blank line after each sentence; CoNLL-U: the same, of Universal Dependencies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records, newlines_of
from ostinato.data.readers.base import Source
from ostinato.data.rejects import counted
from ostinato.data.tables.list_columns import list_column
from ostinato.errors import DataError

_NAMES_BY_NUMBER = {2: ("form", "tag"), 3: ("form", "pos", "chunk"), 4: ("form", "pos", "chunk", "ner")}
_UD = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
_ID = "id"
_WORDS = ("form", "lemma", "word", "words", "token", "tokens")
_HEADINGS = frozenset((*_UD, *_WORDS, "pos", "tag", "tags", "label", "labels", "chunk", "ner", "ner_tag", "ner_tags"))
"""What a first line holds that names columns."""
_NAMING = "global.columns"
_DOCUMENT = "-DOCSTART-"
_COMMENT = re.compile(r"#\s*(?:[\w.:]+\s*=|id\s|newdoc\b|newpar\b|begin document|end document)")
_SPAN_TAG = re.compile(r"(?:O|[BIESLUMW]-\S+)$")
_PART = re.compile(r"[0-9]+[-.][0-9]+$")
_SPACE = 0x20
_2012 = ("document", "part", "id", "form", "pos", "parse", "lemma", "frameset", "sense", "speaker", "ner", "coref")
"""Columns of CoNLL-2012; before the last one there is one for each predicate of the sentence."""
_LOOKED_AT = 500
"""Sentences looked at to find which column counts the words, and which holds them."""


@dataclass(frozen=True)
class _Layout:
    """How lines are cut: names of the columns; whether only tabs separate them; the line that names them, or 0; whether
    further columns stand before the last one."""

    names: tuple[str, ...]
    tabs: bool = False
    heading: int = 0
    varying: bool = False


@dataclass
class ConllSource(Source):
    """CoNLL: columns between blanks, one row a sentence, each column the list of its words or tags.

    Columns are called `form tag` where there are two, `form pos chunk` where there are three (CoNLL-2000), `form pos
    chunk ner` where there are four (CoNLL-2003), else `form column2 …`; a first line `# global.columns = FORM POS …`
    (CoNLL-U Plus), or one of such names, says otherwise. A first column that counts the words of each sentence is `id`,
    and ten columns with one are called as CoNLL-U's; twelve or more whose third counts them as CoNLL-2012's, those of
    single predicates left out. Tags before the words are known by their `B-`, `I-` and `O`. Where all lines have tabs,
    words may hold blanks. Comments and lines `-DOCSTART-` are skipped. The usual target is the last column.
    """

    format: ClassVar[str] = "conll"
    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".iob", ".iob2", ".bio", ".bilou", ".bioes", ".bmes")
    _layout: _Layout = field(default=_Layout(()), init=False, repr=False)

    @property
    def usual_input(self) -> str | None:  # type: ignore[override]
        """The words."""
        return next((name for name in self.columns() if name in _WORDS), self.columns()[0])

    @property
    def usual_target(self) -> str | None:  # type: ignore[override]
        """`upos`, or the last column that says something of words."""
        names = [name for name in self.columns() if name not in (*_WORDS, _ID)]
        if self._layout.varying:
            return "pos"
        return "upos" if "upos" in names else names[-1] if names else None

    def kind_of(self, column: str) -> str | None:
        """Words are tokens, everything beside them is tags (which are tokens, too, where they are read)."""
        return "tokens" if column in _WORDS else "tags"

    def _read_columns(self) -> list[str]:
        sentences: list[list[tuple[int, str]]] = []
        for records in self._records(self._ends, glance=True):
            for index in range(min(len(records), _LOOKED_AT - len(sentences))):
                lines = _numbered(records, index)
                named = next((line for _, line in lines if _NAMING in line and line.startswith("#")), None)
                if named is not None and not sentences:
                    names = tuple(named.partition("=")[2].lower().split())
                    if not names or len(set(names)) < len(names):
                        raise DataError(
                            f"`{self.name}`: `{_NAMING}` must name each column, once. Received: {named[:80]!r}."
                        )
                    self._layout = _Layout(names, tabs=any("\t" in line for _, line in lines))
                    return list(names)
                words = [(number, line) for number, line in lines if self._holds_word(line)]
                sentences += [words] if words else []
            if len(sentences) >= _LOOKED_AT:
                break
        if not sentences:
            raise DataError(f"`{self.path}` holds no sentence.", hint="CoNLL has one word a line, its columns after it")
        self._layout = self._found_layout(sentences)
        return list(self._layout.names)

    def _found_layout(self, sentences: list[list[tuple[int, str]]]) -> _Layout:
        """How the file is laid out, by its first sentences."""
        tabs = all("\t" in line for words in sentences for _, line in words)
        first_line, first = sentences[0][0]
        heading = [cell.lower() for cell in _cut(first, tabs)]
        if 1 < len(heading) == len(set(heading)) and _HEADINGS.issuperset(heading):
            return _Layout(tuple(heading), tabs, first_line)
        rows = [[_cut(line, tabs) for _, line in words] for words in sentences]
        count = len(rows[0][0])
        long = all(len(row) >= len(_2012) for words in rows for row in words)
        if long and all(_counts([row[2] for row in words]) for words in rows):
            return _Layout(_2012, tabs, varying=True)
        if count > 1 and all(_counts([row[0] for row in words]) for words in rows):
            return _Layout(_UD if count == len(_UD) else (_ID, *_names(count - 1)), tabs)
        cells = [row for words in rows for row in words if len(row) == count]
        if count == 2 and _are_tags(row[0] for row in cells) and not _are_tags(row[1] for row in cells):
            return _Layout(("tag", "form"), tabs)
        return _Layout(_names(count), tabs)

    def _holds_word(self, line: str) -> bool:
        """Whether a line is no comment or mark between documents."""
        return bool(line.strip()) and not line.startswith(_DOCUMENT) and not _COMMENT.match(line)

    def _is_word(self, line: str) -> bool:
        """As `_holds_word`, without multiword tokens (`3-4`) and empty nodes (`8.1`) of a counting column."""
        if not self._holds_word(line):
            return False
        return self._layout.names[:1] != (_ID,) or not _PART.match(re.split(r"[\t ]", line, maxsplit=1)[0])

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
                yield Block(pl.DataFrame(frame), (str(self.path),), np.asarray(lines, dtype=np.int64))

    def _sentence(self, records: Records, index: int, num_columns: int) -> list[list[str]]:
        """The columns of each word; nothing for a bad sentence, which is recorded by the line at fault."""
        words: list[list[str]] = []
        for number, line in _numbered(records, index):
            if number == self._layout.heading or not self._is_word(line):
                continue
            cells = _cut(line, self._layout.tabs)
            if self._layout.varying and len(cells) > num_columns:
                cells = [*cells[: num_columns - 1], cells[-1]]
            problem = self._problem(cells, num_columns)
            if problem:
                self.bad_rows.add(str(self.path), number, problem, line)
                return []
            words.append(cells)
        return words

    def _problem(self, cells: list[str], num_columns: int) -> str | None:
        if len(cells) != num_columns:
            where = " (separated by tabs)" if self._layout.tabs else ""
            return (
                f"a sentence is left out: this line has {counted(len(cells), 'column')}, the file {num_columns}{where}"
            )
        if not all(cells):
            return f"a sentence is left out: column {cells.index('') + 1} of this line is empty (write _ for none)"
        return None


@dataclass
class ConlluSource(ConllSource):
    """CoNLL-U: ten columns between tabs, in lower case `id form lemma upos xpos feats head deprel deps misc`, `_` where
    there is none. Comments, multiword tokens (`3-4`) and empty nodes (`8.1`) are skipped: what is left are the
    syntactic words of Universal Dependencies. CoNLL-U Plus names other columns in its first line.

    Source: https://universaldependencies.org/format.html
    """

    format: ClassVar[str] = "conllu"
    suffixes: ClassVar[tuple[str, ...]] = (".conllu", ".conllup")

    def _found_layout(self, sentences: list[list[tuple[int, str]]]) -> _Layout:
        return _Layout(_UD, tabs=True)

    def _holds_word(self, line: str) -> bool:
        return bool(line.strip()) and not (line.startswith("#") and "\t" not in line)


def _numbered(records: Records, index: int) -> list[tuple[int, str]]:
    """The lines of a sentence, each with its number."""
    first = int(records.lines[index])
    return list(enumerate(records[index].decode("utf-8").replace("\r", "").split("\n"), first))


def _cut(line: str, tabs: bool) -> list[str]:
    """The columns of a line. Blanks are spaces and tabs: a no-break space belongs to its word."""
    if tabs:
        return [cell.strip() for cell in line.split("\t")]
    return re.split(r"[ \t]+", line.strip(" \t"))


def _names(count: int) -> tuple[str, ...]:
    """What `count` columns are called where the file does not say."""
    return _NAMES_BY_NUMBER.get(count) or ("form", *(f"column{k}" for k in range(2, count + 1)))


def _counts(cells: list[str]) -> bool:
    """Whether cells count from 0 or 1, multiword tokens and empty nodes left aside."""
    whole = [cell for cell in cells if not _PART.match(cell)]
    return bool(whole) and any(whole == [str(n + k) for n in range(len(whole))] for k in (0, 1))


def _are_tags(cells: Iterator[str]) -> bool:
    """Whether all are tags of spans."""
    return all(_SPAN_TAG.match(cell) for cell in cells)
