"""Readers by format: each turns a path into blocks of text columns. `open_source` picks one by suffix or by name."""

from __future__ import annotations

import csv
import difflib
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import polars as pl

from ostinato.data.blocks import Block, Decoder, Lines, open_binary, raw_blocks, record_ends
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError

_COMPRESSED = {".gz", ".bz2", ".xz"}
_PARQUET_ROWS = 50_000
_FOLDER_FILES = 2_000


@dataclass
class Source:
    """A file or folder as blocks of rows. `notes` collects what a user should be told (encoding, folders left out)."""

    path: Path
    bad_rows: BadRows
    encoding: str = "auto"
    notes: list[str] = field(default_factory=list)
    format: ClassVar[str] = ""

    def columns(self) -> list[str]:
        """The names of the columns there are."""
        raise NotImplementedError

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The rows, in order, with `columns` as text. Bad rows go to `bad_rows`, not into a block."""
        raise NotImplementedError

    def require(self, *names: str) -> None:
        """Raise `DataError` if a column is missing, naming those there are."""
        there = self.columns()
        for name in names:
            if name not in there:
                near = difflib.get_close_matches(name, there, n=1)
                raise DataError(
                    f"`{self.path}` has no column `{name}`. Columns: {', '.join(there)}.",
                    hint=f"did you mean {near[0]}?" if near else None,
                )

    def _decoded(self, *, quoted: bool = False, spaces: bool = False) -> Iterator[tuple[str, int]]:
        """Text of each raw block with the number of its first line; lines with a NUL byte become bad rows."""
        decoder = Decoder(str(self.path), self.encoding, self.bad_rows)
        line = 1
        for raw in raw_blocks(self.path, quoted=quoted, spaces=spaces):
            count = raw.count(b"\n")
            yield decoder.decode(self._without_nul(raw, line) if b"\0" in raw else raw, line), line
            line += count
        if decoder.encoding == "Latin-1" and self.encoding == "auto":
            self.notes.append(f"{self.path}: not UTF-8, read as Latin-1")

    def _without_nul(self, raw: bytes, first_line: int) -> bytes:
        lines = raw.split(b"\n")
        for number, text in enumerate(lines):
            if b"\0" in text:
                excerpt = text[:80].decode("utf-8", "replace")
                self.bad_rows.add(str(self.path), first_line + number, "holds a NUL byte", excerpt)
                lines[number] = b""
        return b"\n".join(lines)


class DelimitedSource(Source):
    """CSV (RFC 4180: quotes, doubled quotes, newlines inside quotes), first row the header."""

    format = "csv"
    separator = ","

    def columns(self) -> list[str]:
        """The header."""
        return self._header(next(self._decoded(quoted=True))[0])

    def _header(self, text: str) -> list[str]:
        header = next(csv.reader(io.StringIO(text), delimiter=self.separator))
        doubled = {name for name in header if header.count(name) > 1}
        if doubled:
            raise DataError(f"`{self.path}` names a column twice: {', '.join(sorted(doubled))}.")
        return header

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Polars parses a block; where it refuses one, or counts other records than we do, each record is looked at."""
        names: list[str] = []
        for text, first_line in self._decoded(quoted=True):
            raw = text.encode()
            starts, lines = _records(raw, first_line)
            if not names:
                names = self._header(text)
                raw, lines = raw[int(starts[1]) if len(starts) > 1 else len(raw) :], lines[1:]
            frame = self._parse(raw, names, len(lines))
            if frame is None:
                frame, lines = self._parse_each(raw, names, int(lines[0]) if len(lines) else first_line)
            if len(frame):
                yield Block(frame.select(columns), (str(self.path),), lines)

    def _parse(self, raw: bytes, names: list[str], count: int) -> pl.DataFrame | None:
        if count == 0:
            return pl.DataFrame(schema=dict.fromkeys(names, pl.String))
        if b"\n\n" in raw or raw.startswith(b"\n") or b"\n\r\n" in raw:
            return None  # blank lines: polars' rows would not be our records
        try:
            frame = pl.read_csv(raw, has_header=False, new_columns=names, infer_schema=False, separator=self.separator)
        except pl.exceptions.PolarsError:
            return None
        return frame if frame.height == count and frame.width == len(names) else None

    def _parse_each(self, raw: bytes, names: list[str], first_line: int) -> tuple[pl.DataFrame, Lines]:
        csv.field_size_limit(1 << 30)
        reader = csv.reader(io.StringIO(raw.decode(), newline=""), delimiter=self.separator)
        rows: list[list[str | None]] = []
        lines: list[int] = []
        before = 0
        while True:
            try:
                record = next(reader, None)
            except csv.Error as error:
                self.bad_rows.add(str(self.path), first_line + before, f"not a CSV record ({error})")
                break
            if record is None:
                break
            line, before = first_line + before, reader.line_num
            if len(record) == len(names):
                rows.append([cell if cell != "" else None for cell in record])
                lines.append(line)
            elif record:
                reason = f"has {len(record)} fields, the header has {len(names)}"
                self.bad_rows.add(str(self.path), line, reason, self.separator.join(record))
        frame = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String), orient="row")
        return frame, np.asarray(lines, dtype=np.int64)


class TabSource(DelimitedSource):
    """TSV: as CSV, with tabs."""

    format = "tsv"
    separator = "\t"


class JsonLinesSource(Source):
    """JSONL: one JSON object a line. Numbers are taken as their text, lists as JSON text."""

    format = "jsonl"

    def columns(self) -> list[str]:
        """The keys of the first 100 objects."""
        text, _ = next(self._decoded())
        names: dict[str, None] = {}
        for line in text.split("\n", 100)[:100]:
            row = _json_object(line)
            names.update(dict.fromkeys(row if isinstance(row, dict) else ()))
        if not names:
            raise DataError(f"`{self.path}` has no JSON object in its first 100 lines.")
        return list(names)

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Polars parses a block; where it refuses one, each line is looked at."""
        for text, first_line in self._decoded():
            lines = text.split("\n")
            if lines[-1] == "":
                lines.pop()
            numbers = np.arange(first_line, first_line + len(lines), dtype=np.int64)
            frame = self._parse(text, columns)
            if frame is None or frame.height != len(lines):
                frame, numbers = self._parse_each(lines, columns, numbers)
            if len(frame):
                yield Block(frame, (str(self.path),), numbers)

    def _parse(self, text: str, columns: Sequence[str]) -> pl.DataFrame | None:
        try:
            return pl.read_ndjson(text.encode(), schema=dict.fromkeys(columns, pl.String)).select(columns)
        except pl.exceptions.PolarsError:
            return None

    def _parse_each(self, lines: list[str], columns: Sequence[str], numbers: Lines) -> tuple[pl.DataFrame, Lines]:
        rows: list[list[str | None]] = []
        kept: list[int] = []
        for line, number in zip(lines, numbers.tolist(), strict=True):
            row = _json_object(line)
            if isinstance(row, dict):
                rows.append([_as_text(row.get(name)) for name in columns])
                kept.append(number)
            elif line.strip():
                self.bad_rows.add(str(self.path), number, row, line)
        frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String), orient="row")
        return frame, np.asarray(kept, dtype=np.int64)


class ParquetSource(Source):
    """Parquet, read some row groups at a time."""

    format = "parquet"

    def _scan(self) -> pl.LazyFrame:
        return pl.scan_parquet(self.path)

    def columns(self) -> list[str]:
        """The names in the file's schema."""
        try:
            return self._scan().collect_schema().names()
        except (pl.exceptions.PolarsError, OSError) as error:
            raise DataError(
                f"`{self.path}` is not a Parquet file that can be read: {str(error).splitlines()[0]}"
            ) from error

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Slices of the file; polars reads only the row groups a slice needs."""
        self.columns()
        start = 0
        while True:
            frame = self._scan().select(columns).slice(start, _PARQUET_ROWS).collect()
            if not len(frame):
                break
            lines = np.arange(start + 1, start + len(frame) + 1, dtype=np.int64)
            yield Block(frame.select(_column_as_text(frame[name]) for name in columns), (str(self.path),), lines)
            start += len(frame)
        if start == 0:
            raise DataError(f"`{self.path}` is empty.")


class TextSource(Source):
    """Plain text: one column `text`; consecutive blocks continue one document. Line ends are read as newlines."""

    format = "text"

    def columns(self) -> list[str]:
        """Always `text`."""
        return ["text"]

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The document, some megabytes at a time, cut after a newline or a space."""
        for text, line in self._decoded(spaces=True):
            frame = pl.DataFrame({"text": [text.replace("\r\n", "\n")]})
            yield Block(frame, (str(self.path),), np.asarray([line], dtype=np.int64))


class FolderSource(Source):
    """A folder of text files (one row a file), or of one subfolder a class: columns `text` and `label`."""

    format = "folder"

    def _classes(self) -> list[Path]:
        folders = sorted(p for p in self.path.iterdir() if p.is_dir() and not p.name.startswith("."))
        left_out = [p for p in folders if p.name == "unsup"]
        if left_out:
            self.notes.append(f"{left_out[0]}: unlabelled texts, left out")
        return [p for p in folders if p not in left_out]

    def columns(self) -> list[str]:
        """`text`, and `label` where there are subfolders."""
        return ["text", "label"] if self._classes() else ["text"]

    def blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """The files by class, then by name."""
        classes = self._classes()
        files = [(f, c.name) for c in classes for f in _texts(c)] or [(f, "") for f in _texts(self.path)]
        if not files:
            inner = [p.name for p in classes if any(q.is_dir() for q in p.iterdir())]
            hint = (
                f"name the folder whose subfolders are the classes, for example {self.path / inner[0]}"
                if inner
                else None
            )
            raise DataError(f"`{self.path}` holds no .txt files.", hint=hint)
        for start in range(0, len(files), _FOLDER_FILES):
            part = files[start : start + _FOLDER_FILES]
            texts = [self._read(path) for path, _ in part]
            frame = pl.DataFrame(
                {"text": texts, "label": [name for _, name in part]}, schema_overrides={"text": pl.String}
            )
            names = tuple(str(path) for path, _ in part)
            yield Block(
                frame.select(columns), names if len(names) > 1 else names[:1], np.ones(len(part), dtype=np.int64)
            )

    def _read(self, path: Path) -> str:
        with open_binary(path) as stream:
            raw = stream.read().removeprefix(b"\xef\xbb\xbf")
        decoder = Decoder(str(path), self.encoding, self.bad_rows)
        text = decoder.decode(raw, 1)
        if decoder.encoding == "Latin-1" and self.encoding == "auto":
            self.notes.append(f"{path}: not UTF-8, read as Latin-1")
        return text.replace("\r\n", "\n")


_SOURCES: dict[str, type[Source]] = {
    cls.format: cls for cls in (DelimitedSource, TabSource, JsonLinesSource, ParquetSource, TextSource, FolderSource)
}
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".txt": "text",
    ".text": "text",
    ".md": "text",
}


def open_source(path: Path, bad_rows: BadRows, *, format: str = "auto", encoding: str = "auto") -> Source:
    """The reader for `path`. Raises `DataError` if it does not exist or its format is not known."""
    if not path.exists():
        raise DataError(f"no such file or folder: `{path}`.", hint=_nearest_file(path))
    if format == "auto":
        format = detect_format(path)
    if (format == "folder") != path.is_dir():
        raise DataError(f"`{path}` is {'a folder' if path.is_dir() else 'a file'}; `data.format` says {format}.")
    if format == "parquet" and path.suffix.lower() in _COMPRESSED:
        raise DataError(f"`{path}` is a compressed Parquet file; Parquet compresses inside.", hint="unpack it first")
    return _SOURCES[format](path, bad_rows, encoding)


def detect_format(path: Path) -> str:
    """The format by suffix (`.gz`, `.bz2`, `.xz` looked through). Raises `DataError` if it is not known."""
    if path.is_dir():
        return "folder"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in _COMPRESSED:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        raise DataError(
            f"can't tell the format of `{path}` from its name. Known: {', '.join(_SUFFIXES)} (also with .gz, .bz2, .xz).",
            hint="name it: --set data.format=text",
        )
    return _SUFFIXES[suffixes[-1]]


def _records(raw: bytes, first_line: int) -> tuple[Lines, Lines]:
    """Where each record starts in `raw`, and on which line."""
    ends = record_ends(raw)
    starts = np.concatenate([np.zeros(1, dtype=np.int64), ends])
    starts = starts[starts < len(raw)]
    newlines = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) == 0x0A)
    return cast("Lines", starts), cast("Lines", first_line + np.searchsorted(newlines, starts))


def _json_object(line: str) -> dict[str, Any] | str:
    """The object on a line, or why there is none."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        return f"broken JSON: {error.msg} at column {error.colno}"
    except RecursionError:
        return "broken JSON: nested too deeply"
    return row if isinstance(row, dict) else f"not a JSON object but {type(row).__name__}"


def _as_text(value: object) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _column_as_text(column: pl.Series) -> pl.Series:
    if column.dtype == pl.Categorical or not column.dtype.is_nested():
        return column.cast(pl.String)
    texts = [_as_text(value.to_list() if isinstance(value, pl.Series) else value) for value in column]
    return pl.Series(column.name, texts, dtype=pl.String)


def _texts(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() == ".txt")


def _nearest_file(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None
