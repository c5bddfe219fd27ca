"""Sound as it comes: samples become the frames that the whole sound has, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ostinato.arrays import Array
from ostinato.media.mel_tables import described, samples_in, with_slopes
from ostinato.media.spectrum import frames_of
from ostinato.recipe.kinds import AudioRecipe

_SLOPE_REACH = 2
"""Frames that a slope looks ahead."""


@dataclass(frozen=True)
class Heard:
    """What is kept of the sound before a moment: its last samples (`SoundFront.kept`,), zeros before its beginning, and
    how many blocks have come, at most `SoundFront.counted`."""

    kept: Array
    num_blocks: int


class SoundFront:
    """Cuts sound into frames while it comes, in blocks of `hop` samples.

    A frame of F samples is made as soon as the block has come that holds its last sample; with slopes, as soon as the
    frames have come that they look at. So the first `delay` blocks make no frame, and each further one makes one;
    those that are left are made of what the sound ends with (`rest`), zeros filling up the last one.

    Args:
        recipe: of the feature; not `normalize: row`.
        transform: raw frames (L, D) to values.
    """

    def __init__(self, recipe: AudioRecipe, transform: Callable[[Array], Array]) -> None:
        self._recipe, self._transform = recipe, transform
        self.sample_rate, self.hop = recipe.sample_rate, samples_in(recipe, recipe.hop_ms)
        self._frame = samples_in(recipe, recipe.frame_ms)
        self._before = -(-self._frame // self.hop) - 1  # blocks that a frame begins before the one it ends in
        self._reach = _SLOPE_REACH * recipe.deltas
        self.delay = self._before + self._reach
        self._held = self.delay + self._reach
        self.kept = self._held * self.hop
        seconds = recipe.max_seconds
        self.most = None if seconds is None else round(seconds * recipe.sample_rate)
        """Samples of a sound that are read; None: all."""
        self.counted = 1 + max(self._held, 0 if self.most is None else self.most // self.hop)

    def after(self, heard: Heard, blocks: Array) -> Heard:
        """Having heard blocks (n, hop), too."""
        joined = np.concatenate([heard.kept, blocks.reshape(-1)])
        return Heard(joined[len(joined) - self.kept :], min(heard.num_blocks + len(blocks), self.counted))

    def frames(self, pieces: Sequence[tuple[Heard, Array]]) -> list[Array]:
        """The values (n', D) that further blocks (n, hop) of each of many sounds make."""
        windows, counts = [np.zeros((0, self._frame), dtype=np.float32)], list[int]()
        for heard, blocks in pieces:
            there = self._samples(heard, blocks.reshape(-1))
            count = max(0, len(there) // self.hop - self._before)
            windows.append(frames_of(there, self._frame, self.hop)[:count])
            counts.append(count)
        base, ends = described(self._recipe, np.concatenate(windows)), np.cumsum(counts)[:-1]
        if not self._reach:  # every frame is a new one
            return np.split(self._transform(base.astype(np.float32)), ends)
        each = zip(pieces, np.split(base, ends), strict=True)
        return [self._new(heard, one, len(one) - self._reach) for (heard, _), one in each]

    def rest(self, heard: Heard, left: Array) -> Array:
        """The values (n', D) that are still to come if the sound ends with `left`, less than a block; none of no
        sound."""
        there = self._samples(heard, left)
        count = 1 - (self._frame - len(there)) // self.hop
        if heard.num_blocks <= self._held:  # the sound begins here: however short it is, it has a frame
            count = max(count, 1 if len(there) else 0)
        windows = frames_of(there, self._frame, self.hop)[:count]
        return self._new(heard, described(self._recipe, windows), count)

    def _samples(self, heard: Heard, further: Array) -> Array:
        """What has been kept, and what has come since."""
        held = min(heard.num_blocks, self._held) * self.hop
        return np.concatenate([heard.kept[self.kept - held :], further]).astype(np.float32, copy=False)

    def _new(self, heard: Heard, base: Array, until: int) -> Array:
        """Of frames from the first kept block on, the values up to a frame that were not made before."""
        made = max(0, min(heard.num_blocks, self._held) - self.delay)
        return self._transform(with_slopes(self._recipe, base)[made : max(made, until)].astype(np.float32))
