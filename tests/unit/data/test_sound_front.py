"""Sound in pieces of any size makes, byte for byte, the frames of the whole sound."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.arrays import Array
from ostinato.data.features.audio import AudioFeature, num_values, represent
from ostinato.data.features.sound_front import Heard, SoundFront
from ostinato.media.spectrum import WeightedSums, power_spectrum
from ostinato.recipe.kinds import AudioRecipe

RATE = 8000
KINDS: list[dict[str, Any]] = [
    {},
    {"frame_ms": 20, "hop_ms": 20},
    {"frame_ms": 5, "hop_ms": 12},
    {"frame_ms": 31, "hop_ms": 7, "mel_scale": "slaney", "num_mels": 12},
    {"representation": "mfcc", "deltas": 1},
    {"deltas": 2, "num_mels": 5},
    {"representation": "raw", "frame_ms": 3, "hop_ms": 1, "deltas": 2},
    {"representation": "raw", "frame_ms": 2, "hop_ms": 2},
]


def _feature(**options: Any) -> AudioFeature:
    recipe = AudioRecipe(sample_rate=RATE, **options)
    draw = np.random.default_rng(1)
    return AudioFeature(recipe, draw.normal(size=num_values(recipe)), draw.uniform(1, 2, size=num_values(recipe)))


def _in_pieces(front: SoundFront, samples: Array, sizes: list[int]) -> tuple[list[Array], Array]:
    """The frames that each piece of so many blocks makes, and those at the end."""
    heard, at, found = Heard(np.zeros(front.kept, np.float32), 0), 0, list[Array]()
    whole = len(samples) // front.hop
    blocks = samples[: whole * front.hop].reshape(whole, front.hop)
    for size in [*sizes, whole]:
        piece = blocks[at : at + size]
        found += front.frames([(heard, piece)])
        heard, at = front.after(heard, piece), at + len(piece)
    return found, front.rest(heard, samples[whole * front.hop :])


@pytest.mark.parametrize("kind", KINDS, ids=str)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_pieces_make_the_frames_of_the_whole(kind: dict[str, Any], data: st.DataObject) -> None:
    feature = _feature(**kind)
    samples = np.random.default_rng(data.draw(st.integers(0, 99))).normal(size=data.draw(st.integers(1, 1500)))
    samples = samples.astype(np.float32) * np.float32(0.1)
    found, rest = _in_pieces(feature.front, samples, data.draw(st.lists(st.integers(0, 9), max_size=6)))
    whole = feature.transform(represent(feature.recipe, samples))
    assert np.concatenate([*found, rest]).tobytes() == whole.tobytes()
    made = max(0, len(samples) // feature.front.hop - feature.front.delay)
    assert sum(map(len, found)) == made  # as soon as they can be known, give or take a block


def test_many_sounds_at_once_are_each_as_alone() -> None:
    front, draw = _feature(deltas=1).front, np.random.default_rng(0)
    silence = Heard(np.zeros(front.kept, np.float32), 0)
    pieces = [(silence, draw.normal(size=(n, front.hop)).astype(np.float32)) for n in (7, 0, 1, 40, 9)]
    together = front.frames(pieces)
    for piece, found in zip(pieces, together, strict=True):
        assert front.frames([piece])[0].tobytes() == found.tobytes()
    assert [len(one) for one in together] == [7 - front.delay, 0, 0, 40 - front.delay, 9 - front.delay]


def test_no_sound_has_no_frame_and_a_sample_has_one() -> None:
    front = _feature(deltas=1).front
    silence = Heard(np.zeros(front.kept, np.float32), 0)
    assert front.rest(silence, np.zeros(0, np.float32)).shape == (0, 80)
    assert front.rest(silence, np.ones(1, np.float32)).shape == (1, 80)


def test_sums_are_those_of_a_product_whatever_stands_beside() -> None:
    draw = np.random.default_rng(0)
    weights = np.where(draw.uniform(size=(7, 50)) < 0.3, draw.normal(size=(7, 50)), 0.0)
    weights[3] = 0.0
    values, sums = draw.normal(size=(33, 50)), WeightedSums(weights)
    np.testing.assert_allclose(sums(values), values @ weights.T, atol=1e-12)
    for rows in (slice(0, 1), slice(5, 8), slice(32, 33)):
        assert sums(values[rows]).tobytes() == sums(values)[rows].tobytes()
        assert power_spectrum(values[rows], 64).tobytes() == power_spectrum(values, 64)[rows].tobytes()


def test_a_scale_of_whole_rows_is_known_at_the_end_only() -> None:
    assert _feature().whole_row_reason is None
    assert "`features.input.normalize: row` takes the mean" in str(_feature(normalize="row").whole_row_reason)
