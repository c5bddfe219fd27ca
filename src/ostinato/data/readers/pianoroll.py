"""Music: piano rolls in NumPy archives (`FILE.npz#PART`), and MIDI files, one or a folder of them; a row a piece."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ostinato.arrays import Array, Offsets
from ostinato.data.io.blocks import Block
from ostinato.data.readers.base import Claim, Source
from ostinato.data.readers.panels import numpy_arrays
from ostinato.errors import DataError
from ostinato.storage.decompress import open_binary

LOWEST_KEY = 21
"""MIDI pitch of a piano's first key, A0: that of the first column of a roll."""
NUM_KEYS = 88
MIDI_SUFFIXES = (".mid", ".midi")
_BLOCK_FRAMES = 50_000
_LENGTHS = "_lengths"


class PianoRollSource(Source):
    """Column `notes`: the MIDI pitches of each frame of a piece.

    The archive holds, for each part, `PART` (sum L, 88) of zeros and ones, column k being pitch 21 + k, or the same as
    packed bits (sum L, 11) of numpy.packbits, the frames of one piece after those of another; and `PART_lengths` (N,),
    the frames of each piece.
    """

    format = "pianoroll"
    suffixes = (".npz",)
    usual_input = "notes"

    @classmethod
    def claim(cls, path: Path) -> Claim | None:
        """An archive of NumPy in which some array has its `NAME_lengths` beside it."""
        if super().claim(path) is None:
            return None
        try:
            with open_binary(path) as stream, zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
                names = set(archive.namelist())
        except (OSError, EOFError, ValueError, zipfile.BadZipFile, lzma.LZMAError, zlib.error):
            return None  # what can't be opened is reported by the reader of other arrays
        rolls = any(name.replace(".npy", f"{_LENGTHS}.npy") in names for name in names if _LENGTHS not in name)
        return Claim.NAME if rolls else None

    def kind_of(self, column: str) -> str | None:
        """Notes."""
        return "notes"

    def _read_columns(self) -> list[str]:
        self._read()
        return ["notes"]

    def _read(self) -> tuple[Array, Offsets]:
        """The part's keys, (sum L, 88) or packed, and the lengths of its pieces."""
        with numpy_arrays(self.path) as arrays:
            parts = [name for name in arrays if name + _LENGTHS in arrays]
            if self.part is None or self.part not in parts:
                raise self._no_part(parts)
            keys, lengths = arrays[self.part][:], arrays[self.part + _LENGTHS][:]
        packed = keys.dtype == np.uint8 and keys.shape[1:] == (NUM_KEYS // 8,)
        if not packed and keys.shape[1:] != (NUM_KEYS,):
            raise DataError(
                f"`{self.part}` of `{self.path}` must be frames of {NUM_KEYS} keys, or of {NUM_KEYS // 8} packed "
                f"bytes. Received: shape {keys.shape}, {keys.dtype}."
            )
        if lengths.ndim != 1 or lengths.dtype.kind not in "iu" or int(lengths.sum()) != len(keys):
            raise DataError(
                f"`{self.part}{_LENGTHS}` of `{self.path}` must be the frames of each piece, {len(keys):,} in all. "
                f"Received: {lengths.sum() if lengths.dtype.kind in 'iuf' else lengths.dtype} in shape {lengths.shape}."
            )
        return keys, lengths.astype(np.int64)

    def _no_part(self, parts: list[str]) -> DataError:
        if not parts:
            return DataError(f"`{self.path}` holds no piano rolls: no array comes with its `NAME{_LENGTHS}`.")
        what = f"has no part `{self.part}`" if self.part else "holds several parts"
        return DataError(f"`{self.path}` {what}. Parts: {', '.join(parts)}.", instead=self._another(parts[0]))

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """Some pieces at a time."""
        keys, lengths = self._read()
        ends = np.cumsum(lengths)
        first = 0
        while first < len(lengths):
            before = int(ends[first] - lengths[first])
            last = max(first + 1, int(np.searchsorted(ends, before + _BLOCK_FRAMES, side="right")))
            part = keys[before : int(ends[last - 1])]
            part = part if part.shape[1] == NUM_KEYS else np.unpackbits(part, axis=1)[:, :NUM_KEYS]
            pieces = _pieces(part != 0, lengths[first:last])
            frame = pl.DataFrame({"notes": pl.Series(pieces, dtype=pl.List(pl.List(pl.Int16)))})
            yield Block(frame.select(columns), (f"{self.path}#{self.part}",), np.arange(first + 1, last + 1))
            first = last


class MidiSource(Source):
    """Columns `notes` (the path of each MIDI file; the feature reads it) and `name`, the file's name without suffix."""

    format = "midi"
    suffixes = MIDI_SUFFIXES
    of_folders = True
    usual_input = "notes"

    def kind_of(self, column: str) -> str | None:
        """Notes, or plain text."""
        return "notes" if column == "notes" else None

    def _read_columns(self) -> list[str]:
        if not self._files():
            raise DataError(f"`{self.path}` holds no {' or '.join(MIDI_SUFFIXES)} files, nor do its subfolders.")
        return ["notes", "name"]

    def _files(self) -> list[Path]:
        return midi_files(self.path) if self.path.is_dir() else [self.path]

    def _read_blocks(self, columns: Sequence[str]) -> Iterator[Block]:
        """All files, by path: a path each, the music itself is read with the feature's grid."""
        files = [str(path) for path in self._files()]
        frame = pl.DataFrame({"notes": files, "name": [Path(file).stem for file in files]})
        yield Block(frame.select(columns), tuple(files), np.ones(len(files), dtype=np.int64))


def midi_files(folder: Path) -> list[Path]:
    """The visible MIDI files of a folder and its subfolders, by path."""
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in MIDI_SUFFIXES and path.is_file() and not path.name.startswith(".")
    )


def _pieces(keys: Array, lengths: Offsets) -> list[list[list[int]]]:
    """Pitches by frame by piece, of keys (sum L, 88)."""
    frames, columns = np.nonzero(keys)
    pitches = (columns + LOWEST_KEY).tolist()
    ends = np.cumsum(np.bincount(frames, minlength=len(keys))).tolist()
    starts = [0, *ends[:-1]]
    by_frame = [pitches[start:end] for start, end in zip(starts, ends, strict=True)]
    bounds = np.cumsum(lengths).tolist()
    return [by_frame[start:end] for start, end in zip([0, *bounds[:-1]], bounds, strict=True)]
