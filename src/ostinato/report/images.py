"""Pictures in a page: a PNG file as a `data:` address, made of pixels without a library."""

from __future__ import annotations

import base64
import struct
import zlib
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

_MOST_PICTURES = 8
_SHARP = "image-rendering: pixelated"


def strip(pictures: NDArray[Any]) -> Markup:
    """Frames (L, C, H, W) of 8 bits, evenly spaced over a clip, side by side in one picture."""
    at = np.unique(np.linspace(0, len(pictures) - 1, min(_MOST_PICTURES, len(pictures))).astype(int))
    gap = ((0, 0), (0, 0), (0, max(1, pictures.shape[3] // 24)))
    row = np.concatenate([np.pad(pictures[k], gap, constant_values=128) for k in at.tolist()], axis=2)
    label = f"{len(at)} of {len(pictures)} frames"
    width = 52 * len(at)
    return Markup('<img src="{}" alt="{}" width="{}" style="{}">').format(picture_uri(row), label, width, _SHARP)


def picture(pixels: NDArray[Any]) -> Markup:
    """One picture, (C, H, W) of 8 bits."""
    return Markup('<img src="{}" alt="the picture" width="48" style="{}">').format(picture_uri(pixels), _SHARP)


def picture_uri(pixels: NDArray[Any]) -> str:
    """(C, H, W) pixels of 8 bits as a PNG: of three channels in colour, else the first one in grey.

    Source: the Portable Network Graphics specification, 2nd edition, sections 5 and 11: one unfiltered scanline a row.

    Example:
        >>> picture_uri(np.zeros((1, 2, 2), dtype=np.uint8))[:22]
        'data:image/png;base64,'
    """
    shown = pixels if len(pixels) == 3 else pixels[:1]
    lines = np.ascontiguousarray(shown.transpose(1, 2, 0)).reshape(shown.shape[1], -1).astype(np.uint8)
    raw = np.concatenate([np.zeros((len(lines), 1), dtype=np.uint8), lines], axis=1).tobytes()
    size = struct.pack(">IIBBBBB", shown.shape[2], shown.shape[1], 8, 2 if len(shown) == 3 else 0, 0, 0, 0)
    parts = _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(raw, 9)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
