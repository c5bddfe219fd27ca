"""What a file is by its content, where its name does not say: the first lines decide."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ostinato.storage.decompress import open_binary
from ostinato.storage.encodings import mark_of

_HEAD_BYTES = 1 << 16
_FEWEST_LINES = 5
_MOST_COLUMNS = 40
_MOST_TAGS = 60
_LONGEST_NAME = 20
_SEPARATORS = {"\t": ("tsv", "tabs"), ";": ("csv", "semicolons"), "|": ("csv", "bars"), ",": ("csv", "commas")}
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"[-+]?[\d.,:/ -]*\d[\d.,:/ TZ%e+-]*$")
_TAG = re.compile(r"(?:[BIESLUMW][-_].+|[A-Z0-9_\W][A-Z0-9$_\W]*)$")
_LETTERS = re.compile(r"[A-Za-z*.-]+$")
_MAGIC = {b"PAR1": "parquet", b"\x89HDF\r\n\x1a\n": "hdf5", b"MThd": "midi"}
_HEADERS = (("tsf", ("@attribute series_name", "@frequency")), ("ts", ("@problemname", "@timestamps", "@univariate")))

REFUSED = {
    (".7z", ".rar", ".zst", ".lz4", ".lzma", ".z"): "unpack it, and name what is in it",
    (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt"): "loading it would run code: write Parquet, CSV or .npz",
    (".feather", ".arrow", ".ipc"): "write Parquet: polars.read_ipc(FILE).write_parquet(OTHER)",
    (".dta", ".sav", ".sas7bdat", ".xpt", ".por"): "write Parquet: pandas.read_stata, read_spss or read_sas",
    (".mat",): "write .npz: numpy.savez(OTHER, **scipy.io.loadmat(FILE))",
    (".rds", ".rda", ".rdata"): "write CSV in R: write.csv(x, OTHER, row.names = FALSE)",
    (".db", ".sqlite", ".sqlite3"): "write CSV: sqlite3 -header -csv FILE 'SELECT …' > OTHER.csv",
    (".pdf", ".doc", ".docx", ".html", ".htm", ".xml", ".epub", ".rtf"): "write its text as .txt, or a table as .csv",
    (".edf", ".bdf", ".gdf", ".tfrecord", ".avro", ".orc", ".nc", ".zarr"): "write Parquet, CSV or .npz",
}
"""Suffixes of what is not read, and what to do about it."""


class Found(NamedTuple):
    """A format, what shows it, and how else the file may be read."""

    format: str
    reason: str
    otherwise: str = "as text: --set data.format=text"


def look(path: Path) -> Found | None:
    """The format that the first lines of a file show; None where they show none: it is a text, or unknown.

    Raises `DataError` where the file can't be read.
    """
    with open_binary(path) as stream:
        head = stream.read(_HEAD_BYTES)
    for magic, format in _MAGIC.items():
        if head.startswith(magic):
            return Found(format, "its first bytes", "")
    wide = mark_of(head)
    if wide is None and b"\0" in head:
        return None
    lines = head.decode(wide or "utf-8", "replace").splitlines()
    lines = lines[:-1] if len(head) == _HEAD_BYTES and len(lines) > 1 else lines
    filled = [line for line in lines if line.strip()]
    return _marked(filled) or _conll(lines) or _table(filled) if filled else None


def _marked(lines: Sequence[str]) -> Found | None:
    """Formats that begin with a mark."""
    first = lines[0].strip()
    at = [line.strip().lower() for line in lines if line.lstrip().startswith("@")]
    for format, keys in _HEADERS:
        if any(line.startswith(keys) for line in at):
            return Found(format, f"its line {next(line for line in at if line.startswith(keys))[:40]}")
    if any(line.startswith("@relation") for line in at):
        return Found("arff", "its line @relation")
    if first.startswith("{") and all(_is_object(line) for line in lines[:3]):
        return Found("jsonl", "a JSON object a line")
    if re.match(r"\[\s*\{", "".join(lines[:2]).strip()):
        return Found("json", "a JSON list of objects")
    if first.startswith(">") and len(lines) > 1 and _LETTERS.match(lines[1].strip()):
        return Found("fasta", "headers with >, and letters")
    return None


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _conll(lines: Sequence[str]) -> Found | None:
    """Groups of lines of one number of fields, a blank line after each, whose last field is one of few tags."""
    text = "\n".join(line.strip() for line in lines if not line.startswith(("#", "-DOCSTART-")))
    groups = [group.split("\n") for group in re.split(r"\n{2,}", text.strip("\n")) if group]
    rows = [re.split(r"\t" if "\t" in line else r"[ ]+", line) for group in groups for line in group]
    counts = {len(row) for row in rows}
    if len(groups) < 2 or len(rows) < _FEWEST_LINES or len(counts) > 1 or not 1 < counts.pop() <= _MOST_COLUMNS:
        return None
    tags, words = ({row[place] for row in rows} for place in (-1, 0))
    if len(tags) > min(_MOST_TAGS, max(2, len(rows) // 3)) or not (len(tags) < len(words) or len(rows[0]) > 2):
        return None
    if "\t" not in text and 2 * sum(bool(_TAG.match(tag)) for tag in tags) <= len(tags):
        return None
    return Found("conll", f"a word a line with {len(rows[0])} fields, a blank line after each sentence")


def _table(lines: Sequence[str]) -> Found | None:
    """Lines of one number of fields; between other signs than tabs some of them must be numbers, or one of few."""
    if len(set(lines)) < _FEWEST_LINES:
        return None
    rows = [line.split() for line in lines]
    count = len(rows[0])
    numbers = count > 1 and {len(row) for row in rows} == {count} and all(map(_is_number, chain(*rows[1:])))
    if count == 1 and all(len(row) == 1 for row in rows) and all(map(_is_number, chain(*rows[1:]))):
        return Found("csv", f"each of its first {len(lines):,} lines is a number")
    if numbers and lines[-1].count("\t") + 1 != count:
        return Found("csv", f"each of its first {len(lines):,} lines has {count} numbers separated by blanks")
    plain, found = [_QUOTED.sub("", line) for line in lines], list[tuple[str, int, str, bool]]()
    for separator, (format, noun) in _SEPARATORS.items():
        counts = {line.count(separator) + 1 for line in plain}
        count = counts.pop()
        if counts or count < 2:
            continue
        cells = [line.split(separator) for line in plain]
        if separator != "\t" and not _holds_values(cells, separator + " ", plain):
            continue
        found.append((format, count, noun, any(not any(column) for column in zip(*cells, strict=True))))
    if not found:
        return None
    format, count, noun, _ = min(found, key=lambda one: one[3])  # where a field is empty in all lines comes last
    return Found(format, f"each of its first {len(lines):,} lines has {count} fields between {noun}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _holds_values(rows: Sequence[Sequence[str]], as_in_prose: str, lines: Sequence[str]) -> bool:
    """Whether a column holds numbers or times in all rows but the first, or, unless separators are placed as in prose,
    a few short names."""
    prose = all(line.count(as_in_prose[0]) == line.count(as_in_prose) for line in lines)
    for column in zip(*rows[1:], strict=True):
        cells = [cell.strip() for cell in column if cell.strip()]
        few = cells and not prose and len(set(cells)) <= len(cells) // 2 and max(map(len, cells)) <= _LONGEST_NAME
        if cells and (few or all(_NUMBER.match(cell) for cell in cells)):
            return True
    return False
