"""Frames, mel filters, cepstra and slopes against sums written out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ostinato.media.spectrum import (
    cosine_transform,
    frames_of,
    hz_to_mel,
    mel_filters,
    mel_to_hz,
    power_spectrum,
    slopes,
)


@pytest.mark.parametrize(("count", "frames"), [(0, 1), (1, 1), (4, 1), (5, 2), (6, 2), (7, 3), (8, 3), (9, 4)])
def test_frames_keep_every_sample(count: int, frames: int) -> None:
    samples = np.arange(1.0, count + 1)
    found = frames_of(samples, frame=4, hop=2)
    assert found.shape == (frames, 4)
    for row in range(frames):
        expected = [samples[2 * row + i] if 2 * row + i < count else 0.0 for i in range(4)]
        assert found[row].tolist() == expected


def test_mel_scales_are_those_of_their_sources() -> None:
    assert float(hz_to_mel(np.asarray(1000.0), "htk")) == pytest.approx(2595 * math.log10(1 + 1000 / 700))
    assert float(hz_to_mel(np.asarray(200.0), "slaney")) == pytest.approx(3.0)
    assert float(hz_to_mel(np.asarray(1000.0), "slaney")) == pytest.approx(15.0)
    assert float(hz_to_mel(np.asarray(6400.0), "slaney")) == pytest.approx(15.0 + 27.0)
    hz = np.asarray([0.0, 80.0, 999.0, 1000.0, 1001.0, 7999.0])
    for scale in ("htk", "slaney"):
        np.testing.assert_allclose(mel_to_hz(hz_to_mel(hz, scale), scale), hz, atol=1e-9)


def test_filters_are_triangles_between_their_corners() -> None:
    filters = mel_filters(5, 64, 8000, 100.0, 3000.0, "htk")
    mel = [2595 * math.log10(1 + f / 700) for f in (100.0, 3000.0)]
    corners = [700 * (10 ** ((mel[0] + (mel[1] - mel[0]) * k / 6) / 2595) - 1) for k in range(7)]
    for k in range(5):
        low, centre, high = corners[k : k + 3]
        for b in range(33):
            f = b * 8000 / 64
            rising, falling = (f - low) / (centre - low), (high - f) / (high - centre)
            assert filters[k, b] == pytest.approx(max(0.0, min(rising, falling)), abs=1e-12)


def test_slaney_filters_have_equal_areas() -> None:
    filters = mel_filters(8, 1 << 16, 16000, 0.0, 8000.0, "slaney")
    np.testing.assert_allclose(filters.sum(axis=1) * 16000 / (1 << 16), 1.0, rtol=1e-4)


def test_cosines_are_orthonormal_and_the_first_is_the_mean() -> None:
    matrix = cosine_transform(12, 12)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(12), atol=1e-12)
    np.testing.assert_allclose(matrix[0], 1 / math.sqrt(12))
    assert matrix[3, 5] == pytest.approx(math.sqrt(2 / 12) * math.cos(math.pi * 3 * 5.5 / 12))


def test_power_is_that_of_a_plain_fourier_sum() -> None:
    frame = np.random.default_rng(0).standard_normal(6)
    window = [0.5 - 0.5 * math.cos(2 * math.pi * i / 6) for i in range(6)]
    found = power_spectrum(frame[None], 8)[0]
    for k in range(5):
        total = sum(
            window[i] * frame[i] * complex(math.cos(2 * math.pi * k * i / 8), -math.sin(2 * math.pi * k * i / 8))
            for i in range(6)
        )
        assert found[k] == pytest.approx(abs(total) ** 2, abs=1e-12)


def test_slopes_of_a_line_are_its_slope_away_from_the_ends() -> None:
    line = (3.0 * np.arange(8.0))[:, None]
    found = slopes(line)
    np.testing.assert_allclose(found[2:6], 3.0)
    # at the first frame the past repeats it: (1 * (3 - 0) + 2 * (6 - 0)) / 10
    assert float(found[0, 0]) == pytest.approx(1.5)
    assert slopes(np.ones((1, 2))).tolist() == [[0.0, 0.0]]
