"""Bytes and texts that went wrong: cut, flipped, doubled, spliced, or with what parsers trip over put in."""

from __future__ import annotations

import random
from collections.abc import Callable

TOKENS = (
    b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\x80", b"\r", b"\n\n\n", b'"', b"'", b"\t", b",", b";", b"{",
    b"[" * 200, b"NaN", b"nan", b"inf", b"-inf", b"1e400", b"-1", b"0", b"9" * 500, b"null",
    b"None", b"true", b"{}", b"[]", b'""',
    b"<" * 300, b"&" * 50, b"\x1b[2J", b"\\u0000", b"\\ud800", b"2020-13-45", b"1970-01-01", b"99999-01-01", b"@data",
    b"%", b"#", b">", b">>>>", b"-DOCSTART-", b"\xc3", b"\xe2\x80\xa8", b"\x7f", b"=cmd", b"\xff" * 8, b"\0" * 8,
)  # fmt: skip
"""What is put in."""

Mutation = Callable[[bytes, random.Random], bytes]


def _cut(raw: bytes, rng: random.Random) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _flip(raw: bytes, rng: random.Random) -> bytes:
    out = bytearray(raw)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        if out:
            out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    return bytes(out)


def _put_in(raw: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(TOKENS) + raw[at:]


def _replace(raw: bytes, rng: random.Random) -> bytes:
    """A field, a line or a number gives way to something else."""
    start = rng.randrange(len(raw) + 1)
    stop = min(len(raw), start + rng.choice((1, 2, 4, 8, 32)))
    return raw[:start] + rng.choice(TOKENS) + raw[stop:]


def _double(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw) + 1)
    piece = raw[start : start + rng.choice((1, 8, 64, 512))]
    return raw[:start] + piece * rng.choice((2, 3, 50)) + raw[start + len(piece) :]


def _drop(raw: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw[:start] + raw[start + rng.choice((1, 4, 16, 128)) :]


def _lines(raw: bytes, rng: random.Random) -> bytes:
    lines = raw.split(b"\n")
    rng.shuffle(lines)
    return b"\n".join(lines[: rng.randrange(len(lines) + 1)])


def _head(raw: bytes, rng: random.Random) -> bytes:
    """Sizes and counts stand at the beginning of binary files."""
    out = bytearray(raw)
    for _ in range(rng.choice((1, 2, 4))):
        at = rng.randrange(min(len(out), 64) or 1)
        out[at : at + 1] = bytes([rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))])
    return bytes(out)


MUTATIONS: tuple[Mutation, ...] = (_cut, _flip, _put_in, _replace, _double, _drop, _lines, _head)


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """One to three mutations of some bytes."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        raw = rng.choice(MUTATIONS)(raw, rng)
    return raw
