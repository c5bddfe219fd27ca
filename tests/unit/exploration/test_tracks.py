"""Long sequences: what is drawn at any scale is what the states are, and files stay within their bound."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from tests.conftest import Cli
from tests.unit.exploration.conftest import planted_text

import ostinato
from ostinato.errors import RecipeError
from ostinato.exploration import Track, track_run, tracks_of
from ostinato.exploration.pyramid import TILE, Pyramid, file_bytes
from ostinato.exploration.sorting import by_cluster, by_time_constant
from ostinato.exploration.states import States
from ostinato.exploration.track_files import drop_track


@pytest.mark.parametrize(
    ("num_steps", "units", "gaps"), [(1, 2, False), (512, 1, False), (513, 3, True), (9_001, 2, False)]
)
def test_a_pyramid_is_least_largest_and_mean_of_every_stretch(
    tmp_path: Path, num_steps: int, units: int, gaps: bool
) -> None:
    """Of stretches whose steps have no number here and there, the mean is one of the means below."""
    values = np.random.default_rng(0).normal(size=(num_steps, units)).astype(np.float32)
    if gaps:
        values[: num_steps // 3 : 7] = np.nan
    (tmp_path / "it").write_bytes(values.tobytes())
    Pyramid.build(tmp_path / "it", num_steps, units, "float32")
    assert (tmp_path / "it").stat().st_size == file_bytes(num_steps, units, "float32")
    found = Pyramid.open(tmp_path / "it", num_steps, units, "float32")
    for zoom in range(15):
        size = 1 << zoom
        parts = [values[first : first + size] for first in range(0, num_steps, size)]
        with np.errstate(all="ignore"):
            there = [np.isfinite(part).sum(axis=0) for part in parts]
            mean = [np.nansum(part, axis=0) / count for part, count in zip(parts, there, strict=True)]
        got = found.stretches(zoom, 0, len(parts))
        np.testing.assert_array_equal(got[0], [np.fmin.reduce(part) for part in parts])
        np.testing.assert_array_equal(got[1], [np.fmax.reduce(part) for part in parts])
        np.testing.assert_allclose(got[2], mean, rtol=1e-4, atol=1e-5 if zoom <= 3 or not gaps else 0.5)
    step, some = found.span(num_steps // 2, num_steps, 10)
    assert (some.shape[1] <= 12, step & (step - 1)) == (True, 0)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("text") / "other.txt"
    path.write_text(planted_text(1, 3000))
    return path


@pytest.fixture(scope="module")
def track(planted: ostinato.Run, text: Path) -> Track:
    return track_run(planted, text, dtype="float32")


def test_pieces_give_what_the_whole_gives(
    planted: ostinato.Run, track: Track, text: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = planted.explore(text)
    found = track.exploration
    assert (found.num_steps, set(found.series)) == (3000, set(whole.series))
    monkeypatch.setattr("ostinato.exploration.following.follow.__defaults__", (700,))
    cut = track_run(planted, text, dtype="float16").exploration
    for name, part in whole.series.items():
        np.testing.assert_array_equal(found.series[name], part)
        np.testing.assert_allclose(cut.series[name], part, rtol=1e-3, atol=1e-4)
    for name in ("token", "position", "row"):
        np.testing.assert_array_equal(found.columns[name], whole.columns[name])
    np.testing.assert_allclose(found.columns["surprise"], whole.columns["surprise"], rtol=1e-5)
    np.testing.assert_allclose(found.time_constants["layer 1"], whole.time_constants["layer 1"], rtol=1e-5)
    for question, unit in (("depth('(', ')')", 3), ("since('\\n')", 11)):
        assert cut.answer(question).units[0].unit == unit
        assert cut.answer(question).r_squared == pytest.approx(whole.answer(question).r_squared, abs=0.01)
    assert [one.step for one in found.nearest(1500)] == [one.step for one in whole.nearest(1500)]
    assert np.abs(np.abs(found.path()) - np.abs(whole.path())).max() < 1e-3


def test_a_tile_is_shades_of_its_units(track: Track) -> None:
    values = track.pyramids["layer 1.c"].values
    shared = track.tile("layer 1.c", 0, 1, scale="shared")
    assert shared.shape == (TILE, 16)
    reach = np.abs(values).max()
    np.testing.assert_array_equal(shared, np.rint(127 + 127 * (values[TILE : 2 * TILE] / reach)))
    own = track.tile("layer 1.c", 2, 0, kind="high")
    unit = values[:, 5]
    expected = 127 + 127 * (unit[:2048].reshape(-1, 4).max(axis=1) - unit.mean()) / (3 * unit.std())
    np.testing.assert_allclose(own[:, 5], np.clip(np.rint(expected), 0, 254), atol=1)
    assert track.tile("surprise", 0, 0)[0, 0] == 255
    assert track.tile("layer 1.c", 3, 0).shape == (375, 16)
    assert track.tile("layer 1.c", 0, 99).shape == (0, 16)
    with pytest.raises(RecipeError, match=r"`series` must be one of layer 1\.h, .* Received: 'layer 9'"):
        track.tile("layer 9", 0, 0)


def test_a_track_is_found_again_and_tied_to_the_weights(planted: ostinato.Run, track: Track, text: Path) -> None:
    assert track_run(planted, text, dtype="float32").folder == track.folder
    assert track.folder in [one.folder for one in tracks_of(planted.folder)]
    weights = planted.folder / "model.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before + b" ")
    assert tracks_of(planted.folder) == []
    weights.write_bytes(before)
    assert drop_track(planted.folder, "../../etc") is False
    assert not [path for path in (planted.folder / "tracks").iterdir() if path.name.startswith(".")]


def test_tracks_stay_within_their_bound(planted: ostinato.Run, text: Path, tmp_path: Path) -> None:
    home = planted.folder / "tracks"
    first = track_run(planted, text, num_steps=600)
    second = track_run(planted, text, num_steps=700)
    os.utime(first.folder)
    os.utime(second.folder, (1, 1))
    room = sum(file.stat().st_size for place in home.iterdir() for file in place.iterdir())
    track_run(planted, text, num_steps=500, limit_bytes=room)
    assert (first.folder.exists(), second.folder.exists()) == (True, False)
    with pytest.raises(RecipeError, match=r"more than the 0\.00 GB") as refused:
        track_run(planted, text, num_steps=800, limit_bytes=1000)
    assert "--no-gates" in str(refused.value.hint)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        track_run(planted, text, num_steps=900, progress=stop)
    assert not list(home.glob(".*"))


def test_units_in_order() -> None:
    draw = np.random.default_rng(0)
    noise, slow = draw.normal(size=(20_000, 3)), np.zeros((20_000, 3))
    keeps = np.asarray([0.5, 0.99, 0.9])
    for step in range(1, len(slow)):
        slow[step] = keeps * slow[step - 1] + noise[step]
    found = by_time_constant(slow, np.zeros(len(slow), np.int64))
    assert found.units == [1, 2, 0]
    np.testing.assert_allclose(found.values, -1 / np.log(keeps[[1, 2, 0]]), rtol=0.2)
    alike = np.stack([noise[:, 0], noise[:, 1], -noise[:, 0], noise[:, 1] + 0.1 * noise[:, 2]], axis=1)
    order = by_cluster(alike)
    assert {frozenset(order.units[:2]), frozenset(order.units[2:])} == {frozenset({0, 2}), frozenset({1, 3})}
    assert order.values[0] == order.values[1] != order.values[2]
    assert by_time_constant(np.ones((50, 2)), np.zeros(50, np.int64)).values == [0, 0]


def test_what_never_changes_goes_with_nothing() -> None:
    values = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32) * np.asarray([1, 0]) + 1000.1
    goal = values[:, 0].astype(np.float64)
    found = States({"h": values}).correlations(goal, (np.ones(500, bool),))[0]
    np.testing.assert_allclose(found, [1, 0], atol=1e-3)


def test_the_command_keeps_a_track(planted: ostinato.Run, text: Path, cli: Cli) -> None:
    shown = cli("explore", planted.folder, "--data", text, "--steps", 650, "--track", "--no-gates", "-q", "isspace()")
    assert shown.code == 0
    assert "linear probe" in shown.out
    kept = next(one for one in tracks_of(planted.folder) if one.num_steps == 650)
    assert (set(kept.pyramids), kept.facts["data"]) == ({"layer 1.h", "layer 1.c", "surprise"}, str(text))
