"""Texts line by line in several files, `train.en` beside `train.de`: line 7 of one is line 7 of the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.data.io.blocks import Block
from ostinato.data.io.records import cut_records, line_ends, readable
from ostinato.data.readers.base import Claim, Source
from ostinato.errors import DataError
from ostinato.storage.decompress import COMPRESSED, read_utf8

_LONGEST_SUFFIX = 8
_CODES = """
    aa ab af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee el en
    eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is it iu ja
    jp jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky la lb lg li ln lo lt lu lv mg mh mi mk ml mn mr ms mt my na
    nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so
    sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa wo xh yi yo za zh zu eng
    deu ger fra fre spa ita por nld dut swe dan nor fin pol ces cze rus ukr tur ara heb hin zho chi jpn kor vie src
    tgt trg ref hyp source target input output question answer article summary
"""
"""ISO 639-1 and the commonest of 639-3, and what the two sides of pairs are called."""
_LANGUAGES = frozenset(_CODES.split())
_REGION = re.compile(r"[-_][A-Za-z]{2,4}$")


class ParallelSource(Source):
    """Files that differ in their suffix only, each a column named by it: `train.en.gz` has the columns `en`, `de`, ….

    The path is one of them, and that column is the input where a recipe names none. Lines that are blank in every file
    are skipped; where only some are blank, those have no value. A file is read if its column is wanted.

    Raises:
        DataError: while reading, if the files have unequal numbers of lines.
    """

    format = "parallel"
    columns_apart = True

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """A file whose suffix is a language, or one side of pairs, with another such file beside it."""
        found = _is_language(_suffix_of(path)) and path.is_file() and len(siblings(path)) > 1
        return Claim.SUFFIX if found else None

    def kind_of(self, column: str) -> str | None:
        """Every column is text."""
        return "text"

    def _read_columns(self) -> list[str]:
        self.usual_input = _suffix_of(self.path)  # type: ignore[misc] # here it depends on the file
        return list(siblings(self.path))

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        wanted = list(dict.fromkeys(columns))
        files = siblings(self.path)
        readers = [self._lines(files[name]) for name in wanted]
        waiting: list[list[str | None]] = [[] for _ in wanted]
        ended = [False] * len(wanted)
        line = 1
        while not all(ended):
            for number, reader in enumerate(readers):
                if not waiting[number] and not ended[number]:
                    lines = next(reader, None)
                    ended[number] = lines is None
                    waiting[number] = lines or []
            count = min(len(lines) for lines in waiting)
            if any(ended) and (count or not all(ended)):
                raise self._unequal([files[name] for name in wanted])
            rows, waiting = [lines[:count] for lines in waiting], [lines[count:] for lines in waiting]
            if count:
                yield self._block(wanted, rows, files[wanted[0]], line)
            line += count

    def _block(self, names: list[str], rows: list[list[str | None]], file: Path, line: int) -> Block:
        """Whole rows; those with a line that can't be read are reported already, and left out."""
        frame = pl.DataFrame(dict(zip(names, rows, strict=True)), schema=dict.fromkeys(names, pl.String))
        good = frame.select(pl.all_horizontal(pl.all().is_not_null())).to_series()
        filled = frame.select(pl.any_horizontal(pl.all() != "")).to_series().fill_null(False)
        block = Block(frame, (str(file),), np.arange(line, line + len(frame), dtype=np.int64))
        block = block.keep((good & filled).to_numpy())
        return Block(block.table.with_columns(pl.all().replace("", None)), block.files, block.lines)

    def _lines(self, path: Path) -> Iterator[list[str | None]]:
        """The lines of a file, some at a time; None in place of one that can't be read."""
        pieces = read_utf8(path, self.encoding, self._found)
        for records in cut_records(pieces, line_ends, path):
            good = readable(records, self.bad_rows, str(path)).tolist()
            yield [records[i].decode("utf-8").strip() if good[i] else None for i in range(len(records))]

    def _unequal(self, files: list[Path]) -> DataError:
        counts = [sum(len(lines) for lines in type(self)(self.path, type(self.bad_rows)())._lines(f)) for f in files]
        return DataError(
            "parallel files must have as many lines each. Received: "
            + ", ".join(f"`{file}` has {count:,}" for file, count in zip(files, counts, strict=True))
            + ".",
            hint="line 7 of one is taken for the translation of line 7 of the other: a line is missing somewhere",
        )


class PairsSource(Source):
    """A pair a line, without a header: two texts with a tab between them (columns `source`, `target`), or a pronouncing
    dictionary's word and phones with two spaces between them (columns `word`, `phones`), whichever the first line has.

    Blank lines are skipped, in a dictionary also those that begin with `;;;`.
    """

    format = "pairs"

    def kind_of(self, column: str) -> str | None:
        """Both columns are text."""
        return "text"

    def _read_columns(self) -> list[str]:
        for records in self._records(glance=True):
            for _, text in records.decoded():
                if text.strip() and not text.strip().startswith(";;;"):
                    names = ["source", "target"] if "\t" in text.strip() else ["word", "phones"]
                    self.usual_input, self.usual_target = names  # type: ignore[misc] # here they depend on the file
                    return names
        raise DataError(f"`{self.path}` holds no pair.")

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        names = self.columns()
        separator = "\t" if names[0] == "source" else "  "
        for records in self._records():
            pairs: list[list[str]] = []
            lines: list[int] = []
            for line, text in records.decoded():
                if not text.strip() or (separator == "  " and text.startswith(";;;")):
                    continue
                pair = _split(text, separator)
                if len(pair) == 2:
                    pairs.append(pair)
                    lines.append(line)
                else:
                    what = "tab" if separator == "\t" else "two spaces"
                    reason = f"has {len(pair)} field{'s' * (len(pair) != 1)} with {what} between, a pair has 2"
                    self.bad_rows.add(str(self.path), line, reason, text)
            if pairs:
                frame = pl.DataFrame(pairs, schema=names, orient="row").select(pl.col(columns).replace("", None))
                yield Block(frame, (str(self.path),), np.asarray(lines, dtype=np.int64))


def _split(line: str, separator: str) -> list[str]:
    """The fields of a line; further spaces belong to the second field of a dictionary."""
    fields = line.split(separator, 1) if separator == "  " else line.split(separator)
    return [field.strip() for field in fields]


def siblings(path: Path) -> dict[str, Path]:
    """The files beside `path` that differ from it in their suffix only, itself first, by that suffix.

    Those of a language are files of languages.
    """
    name, suffix, compressed = _parts_of(path)
    found = {suffix: path}
    for other in sorted(path.parent.iterdir()):
        stem, own, packed = _parts_of(other)
        same = (stem, packed) == (name, compressed) and 0 < len(own) <= _LONGEST_SUFFIX
        if same and (_is_language(own) or not _is_language(suffix)) and other.is_file():
            found.setdefault(own, other)
    return found


def _is_language(suffix: str) -> bool:
    return _REGION.sub("", suffix).lower() in _LANGUAGES


def _suffix_of(path: Path) -> str:
    return _parts_of(path)[1]


def _parts_of(path: Path) -> tuple[str, str, str]:
    """`train.en.gz` as ("train", "en", ".gz")."""
    compressed = path.suffix if path.suffix.lower() in COMPRESSED else ""
    name = path.name.removesuffix(compressed)
    stem, _, suffix = name.rpartition(".")
    return stem, suffix, compressed
