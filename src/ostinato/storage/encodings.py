"""How the bytes of a text file are encoded, found by what they are; and the file as UTF-8.

Found without a doubt are UTF-8, UTF-16 and UTF-32 with a byte-order mark, and Latin-1. For any other encoding reading
stops and names those that are likely: a wrong guess is a model of characters that nobody wrote.
"""

from __future__ import annotations

import codecs
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from ostinato.errors import DataError

_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark is its beginning
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SHOWN = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8 with BOM",
    "iso8859-1": "Latin-1",
    "utf-16": "UTF-16",
    "utf-32": "UTF-32",
}
_AS_THEY_ARE = ("utf-8", "utf-8-sig", "ascii")
_GUESSED_BYTES = 1 << 16
_LISTED = 3
_EXCERPT = 40
_MOST_ACCENTS = 0.5
"""Share of letters beyond ASCII in a text in Latin-1: its languages write most letters without an accent."""
_MOST_IN_RUNS = 0.1
"""Share of these letters that stand three and more side by side."""
_MOST_SIGNS = 0.1
"""Share of the bytes beyond ASCII that may be signs within a word, as in m³: elsewhere these bytes are letters."""
_ASCII = bytes(range(0x80))
_NO_ASCII_LETTERS = bytes(byte for byte in range(0x100) if byte >= 0x80 or not chr(byte).isalpha())
_NO_LETTERS = bytes(byte for byte in range(0xC0) if not chr(byte).isalpha() or byte >= 0x80)
_NOT_LATIN = re.compile(rb"[\x80-\x9f]")
_RUN = re.compile(rb"[\xc0-\xff]{3,}")
_SIGN_IN_WORD = re.compile(rb"(?<=[A-Za-z])[\xa1-\xbf\xd7\xf7](?=[A-Za-z])")
_ESCAPED = re.compile(rb"\x1b\$[@B]")
"""Where Japanese begins in ISO-2022-JP, whose bytes are all ASCII."""
_WESTERN = re.compile(rb"(?<=[A-Za-z ])[\x80\x85\x91-\x97\x99](?=[A-Za-z \r\n])")
"""What Windows writes between ASCII letters: quotes, dashes, dots, the signs of euro and trade mark."""


def shown(encoding: str) -> str:
    """The name of an encoding as people write it."""
    name = codecs.lookup(encoding).name
    return _SHOWN.get(name, name)


def mark_of(sample: bytes) -> str | None:
    """The encoding that a byte-order mark at the beginning of a file names."""
    return next((encoding for mark, encoding in _BOMS.items() if sample.startswith(mark)), None)


def is_wide(encoding: str) -> bool:
    """Whether ASCII letters have NUL bytes beside them."""
    return codecs.lookup(encoding).name.startswith(("utf-16", "utf-32"))


def detect_encoding(sample: bytes, path: Path, *, cut: bool = False) -> str:
    """The encoding of a text that begins so: "utf-8", "latin-1", or what its byte-order mark says.

    A few broken lines in a UTF-8 file are bad rows, not another encoding.

    Args:
        sample: the beginning of the file.
        path: the file, for messages.
        cut: whether the file goes on.

    Raises:
        DataError: for any other encoding; likely ones are named.
    """
    if (marked := mark_of(sample)) is not None:
        return marked
    if sample.isascii():
        if _ESCAPED.search(sample):
            raise _other(sample[:_GUESSED_BYTES], path)
        return "utf-8"
    lines = sample.split(b"\n")
    further = [line for line in (lines[:-1] if cut and len(lines) > 1 else lines) if not line.isascii()]
    broken = [line for line in further if not is_utf8(line)]
    if 2 * len(broken) <= len(further):
        return "utf-8"
    text = b"\n".join(broken)
    if _is_latin(text):
        return "latin-1"
    raise _other(text[:_GUESSED_BYTES], path)


def is_utf8(raw: bytes) -> bool:
    """Whether `raw` can be decoded."""
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _is_latin(text: bytes) -> bool:
    """Whether text reads as Latin-1: no control bytes, few accents side by side, hardly a sign within a word."""
    letters, beyond = len(text.translate(None, _NO_LETTERS)), len(text.translate(None, _ASCII))
    accents = letters - len(text.translate(None, _NO_ASCII_LETTERS))
    return (
        _NOT_LATIN.search(text) is None
        and accents <= max(3, _MOST_ACCENTS * letters)
        and sum(map(len, _RUN.findall(text))) <= _MOST_IN_RUNS * beyond
        and len(_SIGN_IN_WORD.findall(text)) <= _MOST_SIGNS * beyond
    )


def likely_encodings(text: bytes) -> list[str]:
    """Codecs of Python that the bytes of a text may be in, the likeliest first."""
    from charset_normalizer import from_bytes

    if text.isascii():
        return ["iso2022_jp"]
    signs = len(_WESTERN.findall(text))
    western = ["cp1252"] if signs and 2 * signs >= len(_NOT_LATIN.findall(text)) else []
    found = [match.encoding for match in from_bytes(text)]
    if not found and not western:
        western = ["cp1252"]
    return list(dict.fromkeys([*western, *found]))[:_LISTED]


def _other(text: bytes, path: Path) -> DataError:
    likely = likely_encodings(text)
    lines = (f"  {one}: {' '.join(text.decode(one, 'replace').split())[:_EXCERPT]}" for one in likely)
    return DataError(
        f"`{path}` is neither UTF-8 nor Latin-1. Read in the likely encodings:\n" + "\n".join(lines),
        hint="; ".join(f"--set data.encoding={one}" for one in likely),
    )


def transcoded(pieces: Iterable[bytes], encoding: str, path: Path) -> Iterator[bytes]:
    """A file as UTF-8. What is invalid stays as it is, so that its line can be named.

    Raises:
        DataError: where the bytes can't be in that encoding at all.
    """
    if codecs.lookup(encoding).name in _AS_THEY_ARE:
        yield from pieces
        return
    decoder, first = codecs.getincrementaldecoder(encoding)("surrogateescape"), True
    for piece in itertools.chain(pieces, [None]):
        text = _decoded(decoder, piece, encoding, path)
        if first and text:
            text, first = text.removeprefix("\ufeff"), False
        yield text.encode("utf-8", "surrogateescape")


def _decoded(decoder: codecs.IncrementalDecoder, piece: bytes | None, encoding: str, path: Path) -> str:
    """What a piece holds; None: the file ends."""
    try:
        return decoder.decode(piece or b"", piece is None)
    except UnicodeError as error:
        raise DataError(
            f"`{path}` can't be read as {encoding}: {error}.", hint="to have it found: --set data.encoding=auto"
        ) from error
