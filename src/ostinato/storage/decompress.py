"""The bytes of a file, piece after piece: decompressed, checked to be text, and as UTF-8 whatever they were.

Decompression (.gz, .bz2, .xz) and the choice among UTF-8, UTF-8 with BOM and Latin-1 happen here, for every format.
"""

from __future__ import annotations

import bz2
import gzip
import itertools
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from ostinato.errors import DataError

BLOCK_BYTES = 4 << 20
DETECT_BYTES = 4 << 20
"""How much of a file's beginning decides its encoding: the same for every block size."""

_MOST_NULS = 0.1
_MOST_CONTROLS = 0.05
_CONTROLS = bytes({*range(1, 32), 0x7F} - set(b"\t\n\v\f\r\x1b"))
"""Bytes that no text holds many of; NULs are counted apart, since they may come from UTF-16."""
_OPENERS = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
COMPRESSED = frozenset(_OPENERS)
_BOM = b"\xef\xbb\xbf"
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"PK\x03\x04": "ZIP", b"PAR1": "Parquet"}


def open_binary(path: Path, part: str | None = None) -> IO[bytes]:
    """The bytes of `path`, decompressed by its suffix; of a ZIP file those of its member `part`.

    Raises `DataError` where it can't be opened, or has no such member.
    """
    if path.suffix.lower() == ".zip":
        return _open_member(path, part)
    opener = _OPENERS.get(path.suffix.lower())
    try:
        return cast("IO[bytes]", opener(path)) if opener else path.open("rb")
    except OSError as error:
        raise DataError(f"can't open `{path}`: {error.strerror or error}.") from error


def _open_member(path: Path, part: str | None) -> IO[bytes]:
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"can't open `{path}`: {str(error).rstrip('.')}.") from error
    names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if part not in names:
        what = f"has no member `{part}`" if part else "is an archive"
        raise DataError(f"`{path}` {what}. It holds: {', '.join(names[:10])}.", hint=f"name one: {path}#{names[0]}")
    return archive.open(part)


def read_pieces(path: Path, part: str | None = None) -> Iterator[bytes]:
    """The bytes of `path`, BLOCK_BYTES at a time; of a ZIP file those of its member `part`.

    Raises `DataError` where reading fails.
    """
    with open_binary(path, part) as stream:
        while True:
            try:
                piece = stream.read(BLOCK_BYTES)
            except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
                damaged = path.suffix.lower() in COMPRESSED
                raise DataError(
                    f"can't read `{path}`: {str(error).rstrip('.') or type(error).__name__}.",
                    hint="the compressed file is cut off or damaged" if damaged else None,
                ) from error
            if not piece:
                return
            yield piece


def read_utf8(path: Path, encoding: str, found: Callable[[str], None], part: str | None = None) -> Iterator[bytes]:
    """The bytes of a text file as UTF-8, without BOM; pieces end anywhere, a NUL or invalid byte stays where it is.

    Args:
        path: a file, compressed or not.
        encoding: "auto", "utf-8" or "latin-1".
        found: is told the encoding before the first piece: "UTF-8", "UTF-8 with BOM" or "Latin-1".
        part: the member of a ZIP file.

    Raises:
        DataError: for an empty or unreadable file, and for one that is no text (UTF-16, binary).
    """
    stream = read_pieces(path, part)
    head: list[bytes] = []
    num_bytes = 0
    while num_bytes < DETECT_BYTES and (piece := next(stream, b"")):
        head.append(piece)
        num_bytes += len(piece)
    sample = b"".join(head)[:DETECT_BYTES]
    check_text(sample, path)
    if encoding == "auto":
        encoding = detect_encoding(sample)
    if sample.startswith(_BOM):
        encoding = "utf-8"
        head = _without_bom(head)
        found("UTF-8 with BOM")
    else:
        found("Latin-1" if encoding == "latin-1" else "UTF-8")
    del sample
    yield from _transcoded(itertools.chain(head, stream), encoding)


def check_text(sample: bytes, path: Path) -> None:
    """Raise `DataError` if the beginning of a file shows that it is empty, UTF-16 or binary."""
    if not sample.removeprefix(_BOM).strip():
        raise DataError(f"`{path}` is empty.")
    if sample.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(
            f"`{path}` is UTF-16; Ostinato reads UTF-8 and Latin-1.", hint="convert it: iconv -f UTF-16 -t UTF-8"
        )
    for magic, name in _MAGIC.items():
        if sample.startswith(magic) and not is_utf8(sample):
            raise DataError(f"`{path}` is no text but a {name} file.", hint="unpack it, or name it by its format")
    share = sample.count(b"\0") / len(sample)
    if len(sample) > 1 and share > _MOST_NULS:
        raise DataError(
            f"`{path}` is no text: {share:.0%} of its first bytes are NUL.",
            hint="if it is UTF-16 without a byte-order mark: iconv -f UTF-16LE -t UTF-8",
        )
    controls = (len(sample) - len(sample.translate(None, _CONTROLS))) / len(sample)
    if len(sample) > 1 and controls > _MOST_CONTROLS:
        raise DataError(
            f"`{path}` is no text: {controls:.0%} of its first bytes are control characters.",
            hint="is it a file of another format? --set data.format=… names the reader",
        )


def detect_encoding(sample: bytes) -> str:
    """ "utf-8" or "latin-1": Latin-1 where most of the lines that are not ASCII are not UTF-8 either.

    A few broken lines in a UTF-8 file are bad rows, not another encoding.
    """
    if sample.isascii():
        return "utf-8"
    valid = broken = 0
    lines = sample.split(b"\n")
    for line in lines[:-1] if len(lines) > 1 and len(sample) >= DETECT_BYTES else lines:  # the last may be cut off
        if line.isascii():
            continue
        if is_utf8(line):
            valid += 1
        else:
            broken += 1
    return "latin-1" if broken > valid else "utf-8"


def is_utf8(raw: bytes) -> bool:
    """Whether `raw` can be decoded."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _without_bom(head: list[bytes]) -> list[bytes]:
    joined = b"".join(head[:3])  # pieces may be smaller than the mark
    return [joined.removeprefix(_BOM), *head[3:]]


def _transcoded(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    for piece in pieces:
        yield piece.decode("latin-1").encode() if encoding == "latin-1" and not piece.isascii() else piece
