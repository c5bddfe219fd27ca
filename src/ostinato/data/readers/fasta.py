"""FASTA and FASTQ: one row a record; a folder with one file a class; several files whose records belong together."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl

from ostinato.arrays import Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.io.records import Records, cut_records, line_ends, newlines_of, readable
from ostinato.data.readers.base import Source, suffix_of
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.storage import decompress
from ostinato.storage.decompress import COMPRESSED, read_utf8

FASTA_SUFFIXES = (".fasta", ".fa", ".fna", ".faa", ".ffn", ".frn")
FASTQ_SUFFIXES = (".fastq", ".fq")
_MASK = "mask"
_MASKED = ord("-")
_LOOKED_AT = 1000
_MOSTLY = 0.7
_KEY = re.compile(r"(?<!\w)(\w+)=")
_NO_LETTER = "holds invalid characters: a nucleotide or residue is a letter, *, - or ."
_RESERVED = ("id", "description", "sequence", "quality", "label")


class Entry(NamedTuple):
    """One record: the line of its header, id, the rest of the header, letters, and FASTQ's quality letters."""

    line: int
    id: str
    description: str
    sequence: str
    quality: str = ""


@dataclass(frozen=True)
class _File:
    """A file, or a member of an archive."""

    path: Path
    member: str | None
    stem: str

    @property
    def name(self) -> str:
        """As messages say it."""
        return f"{self.path}#{self.member}" if self.member else str(self.path)


class FastaSource(Source):
    """FASTA: columns `id` (the header's first word), `description` (the rest of it), `sequence`, and one a `key=value`
    pair that every header holds. Sequences may go over several lines.

    A folder of FASTA files is one file a class: `label` is the file's name without suffixes. `PATH#A+B+C` (PATH a
    folder or a ZIP file) reads files whose records belong together, in the same order: the first is `sequence`, the
    others are columns named after their files, and hold a letter for each letter of it. One called `mask` holds 0 and
    1: where it is 0, the letters of the columns beside it are read as `-`.
    """

    format = "fasta"
    usual_input = "sequence"
    usual_target = "label"
    suffixes: ClassVar[tuple[str, ...]] = FASTA_SUFFIXES
    of_folders = True
    first: ClassVar[str] = ">"

    def unusable(self, column: str, cells: pl.Series) -> list[tuple[pl.Series, str]]:
        """Sequences are letters."""
        return [(cells.str.contains(r"[^A-Za-z*.\s-]"), _NO_LETTER)] if column == self.usual_input else []

    def kind_of(self, column: str) -> str | None:
        """Nucleotides or amino acids, auto-detected from the letters; files beside the sequences hold tags."""
        if column in [file.stem for file in self._files()[1:]] and self._joined:
            return "tags"
        if column != "sequence":
            return None
        letters = "".join(entry.sequence for entry in self._head(self._files()[0])).upper()
        num_letters = sum(map(str.isalpha, letters))
        return "dna" if sum(map(letters.count, "ACGTUN")) >= _MOSTLY * num_letters else "protein"

    @property
    def _joined(self) -> bool:
        return self.part is not None and "+" in self.part

    def _files(self) -> list[_File]:
        if self.path.is_dir() and self.part is None:
            found = sorted(p for p in self.path.iterdir() if suffix_of(p) in self.suffixes and p.is_file())
            if not found:
                raise DataError(
                    f"the folder `{self.path}` holds no {self.format.upper()} file: {', '.join(self.suffixes)}."
                )
            return [_File(path, None, _stem(path.name)) for path in found]
        if self.path.is_dir():
            return [_File(self.path / name, None, _stem(name)) for name in str(self.part).split("+")]
        if self.part is None:
            return [_File(self.path, None, _stem(self.path.name))]
        return [_File(self.path, name, _stem(name)) for name in self.part.split("+")]

    def _read_columns(self) -> list[str]:
        files = self._files()
        columns = ["id", "description", "sequence"]
        if self._joined:
            columns += [file.stem for file in files[1:]]
        elif self.path.is_dir():
            columns.append("label")
        keys = [key for key in self._keys(files) if key not in columns and key not in _RESERVED]
        return [*columns, *keys]

    def _keys(self, files: list[_File]) -> list[str]:
        """Names of `key=value` pairs that all records at the beginning of each file have (of one file, if joined)."""
        of_file = []
        for file in files:
            heads = [header_pairs(entry.description) for entry in self._head(file)]
            of_file.append([key for key in heads[0] if all(key in head for head in heads)] if heads else [])
        if self._joined:
            return list(dict.fromkeys(itertools.chain(*of_file)))
        return [key for key in of_file[0] if all(key in keys for keys in of_file)]

    def _head(self, file: _File) -> list[Entry]:
        return list(itertools.islice(self._entries(file, BadRows("skip")), _LOOKED_AT))

    def _entries(self, file: _File, bad_rows: BadRows) -> Iterator[Entry]:
        """The records of one file, the bad ones too where they have an id: with an empty sequence."""
        pieces = read_utf8(file.path, self.encoding, self._found, file.member)
        for records in cut_records(pieces, self._ends, file.path):
            for index in np.flatnonzero(readable(records, bad_rows, file.name)).tolist():
                entry = self._entry(records, index, file, bad_rows)
                if entry is not None:
                    yield entry

    def _ends(self, raw: bytes) -> Offsets:
        """A record ends where the next header begins."""
        after = newlines_of(raw) + 1
        data = np.frombuffer(raw, dtype=np.uint8)
        found: Offsets = after[data[np.minimum(after, len(raw) - 1)] == ord(self.first)]
        return found

    def _entry(self, records: Records, index: int, file: _File, bad_rows: BadRows) -> Entry | None:
        line = int(records.lines[index])
        head, _, body = records[index].decode("utf-8").partition("\n")
        if not head.startswith(self.first):
            if (head + body).strip() and not head.startswith(";"):
                hint = f"a header begins with {self.first}"
                bad_rows.add(file.name, line, "text before the first header", head, hint)
            return None
        name, _, description = head.removeprefix(self.first).strip().partition(" ")
        sequence = "".join(body.split())
        if not sequence:
            bad_rows.add(file.name, line, f"record `{name}` is empty", head)
        return Entry(line, name, description.strip(), sequence)

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        rows = self._joined_rows() if self._joined else self._rows()
        waiting: list[tuple[dict[str, str], str, int]] = []
        num_bytes = 0
        for row in rows:
            waiting.append(row)
            num_bytes += len(row[0]["sequence"])
            if num_bytes >= decompress.BLOCK_BYTES:
                yield _block(waiting, columns)
                waiting, num_bytes = [], 0
        if waiting:
            yield _block(waiting, columns)

    def _rows(self) -> Iterator[tuple[dict[str, str], str, int]]:
        """Cells, file and line of each record."""
        files = self._files()
        for file in files:
            for entry in self._entries(file, self.bad_rows):
                if entry.sequence:
                    yield {**_cells(entry), "label": file.stem}, file.name, entry.line

    def _joined_rows(self) -> Iterator[tuple[dict[str, str], str, int]]:
        """Cells, file and line of the records of several files that belong together."""
        files = self._files()
        streams = [self._entries(file, self.bad_rows) for file in files]
        for number, entries in enumerate(itertools.zip_longest(*streams), start=1):
            names = [entry.id if entry else "no more record" for entry in entries]
            if len(set(names)) > 1:
                said = ", ".join(f"`{name}` in {file.stem}" for name, file in zip(names, files, strict=True))
                raise DataError(f"`{self.path}`: the files don't go together: record {number} is {said}.")
            line = entries[0].line
            lengths = {file.stem: len(entry.sequence) for entry, file in zip(entries, files, strict=True)}
            if not all(lengths.values()):
                continue
            if len(set(lengths.values())) > 1:
                said = ", ".join(f"{length} in {stem}" for stem, length in lengths.items())
                self.bad_rows.add(files[0].name, line, f"record `{names[0]}` has unequal lengths: {said}", names[0])
                continue
            beside = {file.stem: entry.sequence for entry, file in zip(entries[1:], files[1:], strict=True)}
            problem = _apply_mask(beside)
            if problem:
                self.bad_rows.add(files[0].name, line, f"record `{names[0]}`: {problem}", names[0])
                continue
            pairs: dict[str, str] = {}
            for entry in entries:
                pairs |= _cells(entry)
            yield {**pairs, **_cells(entries[0]), **beside}, files[0].name, line


class FastqSource(FastaSource):
    """FASTQ, four lines a record: as FASTA, and `quality`, one character a letter (Phred score plus 33)."""

    format = "fastq"
    suffixes = FASTQ_SUFFIXES
    first = "@"

    def _read_columns(self) -> list[str]:
        columns = super()._read_columns()
        return [*columns[:3], "quality", *columns[3:]]

    def _ends(self, raw: bytes) -> Offsets:
        return line_ends(raw)[3::4]

    def _entry(self, records: Records, index: int, file: _File, bad_rows: BadRows) -> Entry | None:
        line, lines = int(records.lines[index]), records[index].decode("utf-8").replace("\r", "").split("\n")
        if not any(text.strip() for text in lines):
            return None
        problem = None
        if not lines[0].startswith(self.first):
            problem = "a record must begin with @"
        elif len(lines) < 4:
            problem = f"record `{lines[0][1:]}` is cut off: it has {len(lines)} lines of four"
        elif not lines[2].startswith("+"):
            problem = "the third line of a record must begin with +"
        elif len(lines[1].strip()) != len(lines[3].strip()):
            problem = f"has {len(lines[1].strip())} letters, and qualities of {len(lines[3].strip())}"
        elif not lines[1].strip():
            problem = f"record `{lines[0][1:]}` is empty"
        if problem:
            bad_rows.add(file.name, line, problem, lines[0], "a record has four lines: @name, letters, +, qualities")
            return None
        name, _, description = lines[0][1:].strip().partition(" ")
        return Entry(line, name, description.strip(), lines[1].strip(), lines[3].strip())


def _cells(entry: Entry) -> dict[str, str]:
    pairs = {key: value for key, value in header_pairs(entry.description).items() if key not in _RESERVED}
    return {
        **pairs,
        "id": entry.id,
        "description": entry.description,
        "sequence": entry.sequence,
        "quality": entry.quality,
    }


def header_pairs(description: str) -> dict[str, str]:
    """The `key=value` pairs of a header; a value goes on to the next key that a blank precedes."""
    keys = [
        match for match in _KEY.finditer(description) if not match.start() or description[match.start() - 1].isspace()
    ]
    ends = [*(match.start() for match in keys), len(description)][1:]
    return {match[1]: description[match.end() : end].rstrip() for match, end in zip(keys, ends, strict=True)}


def _apply_mask(beside: dict[str, str]) -> str | None:
    """Letters where the mask is 0 become `-`, in place; returns what is wrong with the mask."""
    if _MASK not in beside:
        return None
    mask = np.frombuffer(beside[_MASK].encode(), dtype=np.uint8)
    known = np.isin(mask, np.frombuffer(b"01", dtype=np.uint8))
    if not known.all():
        place = int(np.flatnonzero(~known)[0])
        return f"the mask must hold 0 and 1. Received: {beside[_MASK][place]!r} at position {place + 1}"
    for name, letters in beside.items():
        if name != _MASK:
            codes = np.frombuffer(letters.encode("utf-32-le"), dtype=np.uint32).copy()
            codes[mask == ord("0")] = _MASKED
            beside[name] = codes.tobytes().decode("utf-32-le")
    return None


def _block(rows: list[tuple[dict[str, str], str, int]], columns: Sequence[str]) -> Block:
    cells, files, lines = zip(*rows, strict=True)
    frame = pl.DataFrame(
        {name: [row.get(name) for row in cells] for name in columns}, schema=dict.fromkeys(columns, pl.String)
    )
    one = len(set(files)) == 1
    return Block(frame, (files[0],) if one else files, np.asarray(lines, dtype=np.int64))


def _stem(name: str) -> str:
    path = Path(name)
    while path.suffix and path.suffix.lower() in {*COMPRESSED, *FASTA_SUFFIXES, *FASTQ_SUFFIXES}:
        path = path.with_suffix("")
    return path.name
