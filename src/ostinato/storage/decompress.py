"""The bytes of a file, piece after piece: decompressed, checked to be text, and as UTF-8 whatever they were.

Decompression (.gz, .bz2, .xz) happens here, for every format; `encodings` finds how a text is encoded.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import itertools
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from ostinato.errors import DataError
from ostinato.storage.encodings import detect_encoding, is_utf8, is_wide, mark_of, shown, transcoded
from ostinato.storage.unpack import require_growth

BLOCK_BYTES = 4 << 20
DETECT_BYTES = 4 << 20
"""How much of a file's beginning decides its encoding: the same for every block size."""

_MOST_NULS = 0.1
_MOST_CONTROLS = 0.05
_CONTROLS = bytes({*range(1, 32), 0x7F} - set(b"\t\n\v\f\r\x1b"))
"""Bytes that no text holds many of; NULs are counted apart, since they may come from UTF-16."""
_OPENERS = {".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile}
COMPRESSED = frozenset(_OPENERS)
_BOM = codecs.BOM_UTF8
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
        named = (f"{path}#{part}" if part else str(path), f"{path}#{names[0]}")
        raise DataError(f"`{path}` {what}. It holds: {', '.join(names[:10])}.", instead=named if names else None)
    return archive.open(part)


def read_pieces(path: Path, part: str | None = None) -> Iterator[bytes]:
    """The bytes of `path`, BLOCK_BYTES at a time; of a ZIP file those of its member `part`.

    Raises `DataError` where reading fails.
    """
    num_bytes, packed = 0, path.suffix.lower() in COMPRESSED
    with open_binary(path, part) as stream:
        while True:
            try:
                piece = stream.read(BLOCK_BYTES)
            except (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile) as error:
                raise DataError(
                    f"can't read `{path}`: {str(error).rstrip('.') or type(error).__name__}.",
                    hint="the compressed file is cut off or damaged" if packed else None,
                ) from error
            if not piece:
                return
            num_bytes += len(piece)
            if packed:
                require_growth(num_bytes, path)
            yield piece


def read_utf8(path: Path, encoding: str, found: Callable[[str], None], part: str | None = None) -> Iterator[bytes]:
    """The bytes of a text file as UTF-8, without BOM; pieces end anywhere, a NUL or invalid byte stays where it is.

    Args:
        path: a file, compressed or not.
        encoding: "auto", or any codec of Python.
        found: called with the encoding before the first piece: "UTF-8", "UTF-8 with BOM", "Latin-1", "cp1251".
        part: the member of a ZIP file.

    Raises:
        DataError: for an empty or unreadable file, for one that is no text, and for one whose encoding is not sure.
    """
    stream = read_pieces(path, part)
    head: list[bytes] = []
    num_bytes = 0
    while num_bytes < DETECT_BYTES and (piece := next(stream, b"")):
        head.append(piece)
        num_bytes += len(piece)
    sample = b"".join(head)[:DETECT_BYTES]
    encoding = encoding_of(sample, encoding, path, cut=num_bytes >= DETECT_BYTES)
    found(shown(encoding))
    if sample.startswith(_BOM):
        head = [b"".join(head[:3]).removeprefix(_BOM), *head[3:]]  # pieces may be smaller than the mark
    pieces = transcoded(itertools.chain(head, stream), encoding, path)
    if b"\r" in sample and b"\n" not in sample:  # lines as old Macs end them
        pieces = (piece.replace(b"\r", b"\n") for piece in pieces)
    del sample
    yield from pieces


def encoding_of(sample: bytes, encoding: str, path: Path, *, cut: bool = False) -> str:
    """The codec of a file that begins with `sample` and should be in `encoding`, which may be "auto".

    Raises:
        DataError: for an empty file, for one that is no text, and for one whose encoding is not sure.
    """
    marked = mark_of(sample)
    if is_wide(marked or ("utf-8" if encoding == "auto" else encoding)):
        wide = marked if encoding == "auto" or not is_wide(encoding) else encoding
        check_text(sample.decode(str(wide), "replace").encode(), path)
        return str(wide)
    check_text(sample, path)
    return marked or (detect_encoding(sample, path, cut=cut) if encoding == "auto" else encoding)


def check_text(sample: bytes, path: Path) -> None:
    """Raise `DataError` if the beginning of a file shows that it is empty or binary."""
    if not sample.removeprefix(_BOM).strip():
        raise DataError(f"`{path}` is empty.")
    for magic, name in _MAGIC.items():
        if sample.startswith(magic) and not is_utf8(sample):
            raise DataError(f"`{path}` is not text but a {name} file.", hint="unpack it, or name it by its format")
    share = sample.count(b"\0") / len(sample)
    if len(sample) > 1 and share > _MOST_NULS:
        order = "le" if sample[1::2].count(0) > sample[::2].count(0) else "be"
        raise DataError(
            f"`{path}` is not text: {share:.0%} of its first bytes are NUL.",
            hint=f"if it is UTF-16 without a byte-order mark: --set data.encoding=utf-16-{order}",
        )
    controls = (len(sample) - len(sample.translate(None, _CONTROLS))) / len(sample)
    if len(sample) > 1 and controls > _MOST_CONTROLS:
        raise DataError(
            f"`{path}` is not text: {controls:.0%} of its first bytes are control characters.",
            hint="is it a file of another format? `data.format` names the reader: ostinato recipe options",
        )
