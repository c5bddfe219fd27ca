"""Sessions that are given sound as it comes: samples, of which the run's front-end makes frames."""

from __future__ import annotations

import base64
import binascii
import copy
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np

from ostinato.arrays import Array
from ostinato.data.dataset import Features
from ostinato.data.features.sound_front import Heard, SoundFront
from ostinato.errors import RowError
from ostinato.tasks.intervening import Edit
from ostinato.tasks.signature import TensorSpec
from ostinato.tasks.streaming import Answer, Read, Reading, Steps, StreamingModel, Taken

_FULL_SCALE = 32768
_BYTES = {"float32": ("<f4", 1.0), "int16": ("<i2", 1 / _FULL_SCALE)}


class SoundStreaming(StreamingModel):
    """A model of frames that is given samples, from -1 to 1, of one channel at the run's rate.

    A step is a block of samples, as long as the hop from one frame to the next. The first `front.delay` steps have no
    answer; each further one has that of the frame it completes. Samples that make no whole step wait in the state;
    `finish` answers for the frames that they and zeros after them make.

    Args:
        model: reads frames.
        front: makes them.
    """

    def __init__(self, model: StreamingModel, front: SoundFront) -> None:
        self._model, self._front, dtype = model, front, model.dtype.name
        sizes = {"heard": front.kept, "blocks": 1, "left": front.hop, "num_left": 1}
        self.states = (*model.states, *(TensorSpec(f"sound.{name}", dtype, (size,)) for name, size in sizes.items()))
        self.dtype, self.given_a_step, self.sample_rate = model.dtype, front.hop, front.sample_rate
        ends = np.cumsum([model.state_size, *sizes.values()]).tolist()
        self._inner, self._kept, self._blocks, self._left, self._num_left = (
            slice(start, end) for start, end in zip([0, *ends], ends, strict=False)
        )

    @property
    def facts(self) -> dict[str, Any]:
        """Which sound it is given."""
        return {"sample_rate": self._front.sample_rate, "samples_a_step": self._front.hop}

    def zero(self) -> Array:
        """Silence has not begun either."""
        return np.concatenate([self._model.zero(), np.zeros(self.state_size - self._inner.stop, self.dtype)])

    def of_numbers(self, values: Array) -> Any:
        """As they are."""
        return values

    def encode(self, given: Any) -> Steps:
        """Samples: a list of numbers, or `{"int16": …}`, `{"float32": …}` with little-endian bytes in base64."""
        try:
            samples = _decoded(given) if isinstance(given, Mapping) else np.asarray(given)
        except (TypeError, ValueError, OverflowError) as error:
            raise _refused(given) from error
        whole = samples.dtype.kind in "iu" and samples.size > 0
        if samples.ndim != 1 or not samples.size or not (whole or samples.dtype.kind == "f"):
            raise _refused(given)
        if whole and np.abs(samples).max() > 1:
            raise RowError(
                'samples must be from -1 to 1; those of 16 bits are sent as {"int16": …}, their bytes in base64. '
                f"Received: {given!r:.60}."
            )
        samples = samples.astype(np.float32)
        if not np.isfinite(samples).all():
            raise RowError("samples must be numbers. Received: some that are NaN or infinite.")
        return Steps(samples)

    def take(self, given: Steps, state: Array) -> Taken:
        """Whole blocks, and what is left over."""
        waiting = state[self._left][: int(state[self._num_left][0])].astype(np.float32)
        samples, hop = np.concatenate([waiting, given.values]), self._front.hop
        if self._front.most is not None:
            room = self._front.most - int(state[self._blocks][0]) * hop
            if len(waiting) >= room:
                seconds = self._front.most / self._front.sample_rate
                raise RowError(
                    f"`features.input.max_seconds`: this model reads {seconds:g} s of a sound. Received: more."
                )
            samples = samples[:room]
        whole = len(samples) // hop
        return Taken(Steps(samples[: whole * hop].reshape(whole, hop)), self.leave(state, None), samples[whole * hop :])

    def leave(self, state: Array, left: Array | None) -> Array:
        """Less than a block of samples."""
        found, count = state.copy(), 0 if left is None else len(left)
        found[self._left.start :] = 0
        found[self._left][:count] = 0 if left is None else left
        found[self._num_left] = count
        return found

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        """Blocks."""
        pieces = [(self._heard(one.state), one.steps.values) for one in batch]
        frames = self._front.frames(pieces)
        reading = [
            Reading(Steps(new), one.state[self._inner], one.answers)
            for one, new in zip(batch, frames, strict=True)
            if len(new)
        ]
        read, found = iter(self._model.read(reading) if reading else ()), []
        for (heard, blocks), one, new in zip(pieces, batch, frames, strict=True):
            after = self._front.after(heard, blocks)
            inner = next(read) if len(new) else Read(one.state[self._inner], [])
            count = np.asarray([after.num_blocks], self.dtype)
            state = np.concatenate([inner.state, after.kept, count, one.state[self._left.start :]])
            found.append(Read(state, inner.answers))
        return found

    def changed(self, edits: Sequence[Edit]) -> Self:
        """Steps are frames of which each completes one of the sound."""
        found = copy.copy(self)
        found._model = self._model.changed(edits)
        return found

    def peek(self, state: Array) -> Answer:
        """Of the frames so far."""
        return self._model.peek(state[self._inner])

    def finish(self, state: Array) -> list[Answer]:
        """Of the frames that are left, and what the model itself owes."""
        left = state[self._left][: int(state[self._num_left][0])]
        frames = self._front.rest(self._heard(state), left)
        reading = Reading(Steps(frames), state[self._inner], "each")
        read = self._model.read([reading])[0] if len(frames) else Read(state[self._inner], [])
        return [*read.answers, *self._model.finish(read.state)]

    def _heard(self, state: Array) -> Heard:
        return Heard(state[self._kept], int(state[self._blocks][0]))


def as_it_comes(model: StreamingModel, features: Features) -> StreamingModel:
    """A run's streaming model for inputs as they come: where the run reads sound, samples instead of frames."""
    front = features.input.front
    return model if front is None else SoundStreaming(model, front)


def _decoded(given: Mapping[Any, Any]) -> Array:
    """Raises `ValueError` for what is no samples."""
    (name,) = given
    dtype, scale = _BYTES.get(name, ("", 0.0))
    if not dtype or not isinstance(given[name], str):
        raise ValueError(name)
    try:
        whole = base64.b64decode(given[name], validate=True)
    except binascii.Error as error:
        raise ValueError(name) from error
    return np.frombuffer(whole, dtype).astype(np.float32) * np.float32(scale)


def _refused(given: Any) -> RowError:
    return RowError(
        'samples of sound, one channel from -1 to 1, were expected: a list of numbers, or {"int16": …} or '
        f'{{"float32": …}} with their bytes in base64. Received: {given!r:.60}.'
    )
