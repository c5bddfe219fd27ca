"""Which reader a path needs: `open_source` picks one by suffix or by name."""

from __future__ import annotations

import difflib
from pathlib import Path

from ostinato.data.readers import (
    ConllSource,
    ConlluSource,
    DelimitedSource,
    FastaSource,
    FastqSource,
    FolderSource,
    JsonLinesSource,
    MidiSource,
    ParquetSource,
    PianoRollSource,
    Source,
    TabSource,
    TextSource,
)
from ostinato.data.readers.archives import TsSource, UcrSource, is_ucr
from ostinato.data.readers.fasta import FASTA_SUFFIXES, FASTQ_SUFFIXES
from ostinato.data.readers.idx import IdxSource, is_idx
from ostinato.data.readers.lines import LinesSource
from ostinato.data.readers.media import MediaSource, holds_media
from ostinato.data.readers.parallel import PairsSource, ParallelSource, is_parallel
from ostinato.data.readers.pianoroll import MIDI_SUFFIXES
from ostinato.data.rejects import BadRows
from ostinato.errors import DataError
from ostinato.media.files import is_archive, kind_of_file
from ostinato.storage.decompress import COMPRESSED

__all__ = ["Source", "detect_format", "open_source"]

_SOURCES: dict[str, type[Source]] = {
    cls.format: cls for cls in (DelimitedSource, TabSource, JsonLinesSource, ParquetSource, TextSource, FolderSource)
} | {cls.format: cls for cls in (ConllSource, ConlluSource, FastaSource, FastqSource, PianoRollSource, MidiSource)}
_SOURCES |= {
    cls.format: cls for cls in (ParallelSource, PairsSource, UcrSource, TsSource, MediaSource, LinesSource, IdxSource)
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
    ".ts": "ts",
    **dict.fromkeys((".conll", ".iob", ".iob2", ".bio"), "conll"),
    **dict.fromkeys((".conllu", ".conllup"), "conllu"),
    ".npz": "pianoroll",
    **dict.fromkeys(MIDI_SUFFIXES, "midi"),
    **dict.fromkeys(FASTA_SUFFIXES, "fasta"),
    **dict.fromkeys(FASTQ_SUFFIXES, "fastq"),
}
_FILE_OR_FOLDER = ("fasta", "fastq", "midi", "media", "lines")
"""Formats whose files may stand in a folder, one a class."""


def open_source(
    path: Path,
    bad_rows: BadRows,
    *,
    format: str = "auto",
    encoding: str = "auto",
    header: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
) -> Source:
    """The reader for `path`; `FILE#PART` reads one table of a file that holds several.

    `header` names the columns of a CSV or TSV file that has none, `names` the parts of media files' names.

    Raises:
        DataError: if it does not exist or its format is not known.
    """
    part: str | None = None
    if not path.exists() and "#" in str(path):
        name, _, part = str(path).partition("#")
        path = Path(name)
    if not path.exists():
        raise DataError(f"no such file or folder: `{path}`.", hint=_nearest_file(path))
    if format == "auto":
        format = detect_format(Path(part) if part and path.suffix.lower() == ".zip" else path)
    if format not in _FILE_OR_FOLDER and (format == "folder") != path.is_dir():
        raise DataError(f"`{path}` is {'a folder' if path.is_dir() else 'a file'}; `data.format` says {format}.")
    if format == "parquet" and path.suffix.lower() in COMPRESSED:
        raise DataError(f"`{path}` is a compressed Parquet file; Parquet compresses inside.", hint="unpack it first")
    if format not in _SOURCES:
        raise DataError(f"no reader for the format {format}. There are: {', '.join(_SOURCES)}.")
    if header and format not in ("csv", "tsv"):
        raise DataError(f"`data.header` does not apply to the format {format}. Received: {', '.join(header)}.")
    if names and format != "media":
        raise DataError(f"`data.names` does not apply to the format {format}. Received: {', '.join(names)}.")
    return _SOURCES[format](path, bad_rows, encoding, part=part, header=header, names=names)


def detect_format(path: Path) -> str:
    """The format by suffix (`.gz`, `.bz2`, `.xz` looked through). Raises `DataError` if it is not known."""
    if path.is_dir():
        return _format_of_folder(path)
    if is_idx(path):
        return "idx"
    if is_ucr(path):
        return "ucr"
    if is_archive(path) or kind_of_file(path.name) not in (None, "notes"):
        return "media"
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        suffixes.pop()
    if not suffixes or suffixes[-1] not in _SUFFIXES:
        if is_parallel(path):
            return "parallel"
        raise DataError(
            f"can't tell the format of `{path}` from its name. "
            f"Known: {', '.join(_SUFFIXES)} (also with .gz, .bz2, .xz).",
            hint="name it: --set data.format=text",
        )
    return _SUFFIXES[suffixes[-1]]


def _format_of_folder(path: Path) -> str:
    """By the files in it: one of those that may stand in a folder, else texts."""
    suffixes = {
        Path(file.name.removesuffix(file.suffix)).suffix if file.suffix in COMPRESSED else file.suffix
        for file in path.iterdir()
        if file.is_file()
    }
    known = {_SUFFIXES.get(suffix.lower()) for suffix in suffixes}
    usual = "media" if holds_media(path) else "folder"
    return next((format for format in _FILE_OR_FOLDER if format in known), usual)


def _nearest_file(path: Path) -> str | None:
    if not path.parent.is_dir():
        return f"there is no folder {path.parent} either"
    near = difflib.get_close_matches(path.name, [p.name for p in path.parent.iterdir()], n=1)
    return f"did you mean {path.parent / near[0]}?" if near else None
