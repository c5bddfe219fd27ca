"""Baselines of models that write frames: their densities against plain computations, and beside a trained model."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import ostinato
from ostinato.data.dataset import Examples, Features
from ostinato.data.features.category import CategoryFeature
from ostinato.data.features.notes import NotesFeature
from ostinato.data.features.series import SeriesFeature
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.recipe.kinds import CategoryRecipe, NotesRecipe, SeriesRecipe
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.frames.baseline_models import AnyFrame, Autoregression, EachFromBefore, StepOfEach
from ostinato.tasks.frames.baselines import WrittenBaseline
from ostinato.tasks.prepare import prepare
from ostinato.training.progress import Observer

LENGTHS = np.asarray([3, 2, 4, 3, 3, 2, 5, 3])
GIVEN = np.asarray([3, 4, 3, 4, 3, 4, 3, 4])
FEATURES = Features(
    CategoryFeature(CategoryRecipe(), ("down", "up"), np.ones(5)),
    SeriesFeature(SeriesRecipe(), np.zeros(2), np.ones(2)),
)


def _examples(lengths: Any = LENGTHS, values: Any = None) -> Examples:
    random = np.random.default_rng(0)
    lengths = np.asarray(lengths)
    values = random.normal(size=(int(lengths.sum()), 2)).astype(np.float32) if values is None else values
    given = Sequences.from_lengths(GIVEN[: len(lengths)], np.ones(len(lengths), dtype=np.int64))
    return Examples(given, Sequences.from_lengths(values, lengths), Places(), np.arange(len(lengths)))


def _hazard(lengths: np.ndarray, after: int) -> float:
    return float(((lengths == after).sum() + 0.05) / ((lengths >= after).sum() + 0.1))


def _end(lengths: np.ndarray, length: int) -> float:
    """-ln of going on after each shorter length, and of ending then."""
    going_on = sum(-np.log1p(-_hazard(lengths, t)) for t in range(length))
    return float(going_on - np.log(_hazard(lengths, length)))


def test_any_frame_is_normal_and_ends_as_training_rows_do() -> None:
    examples = _examples()
    baseline = AnyFrame(ends=True)
    baseline.fit(examples, FEATURES)
    values, rows = examples.targets.values.astype(float), examples.targets  # type: ignore[union-attr]
    normal = stats.norm(values.mean(0), values.std(0))
    for row, nll in enumerate(baseline.answer(examples)):
        frames = rows.row(row).astype(float)  # type: ignore[union-attr]
        assert nll == pytest.approx(-normal.logpdf(frames).sum() + _end(LENGTHS, len(frames)))


def test_lengths_have_one_probability_in_all() -> None:
    """Frames of no width in value: what is left is the length."""
    total = 0.0
    baseline = AnyFrame(ends=True)
    baseline.fit(_examples(), FEATURES)
    for length in range(1, 400):
        frames = np.zeros((length, 2), dtype=np.float32)
        one = _examples([length], frames)
        plain = baseline.frame_nll(one).sum()
        total += float(np.exp(-(baseline.answer(one)[0] - plain)))
    assert total == pytest.approx(1.0 - _hazard(LENGTHS, 0), abs=1e-3)  # of no frame at all, the rest


def test_lengths_that_are_set_have_no_end() -> None:
    examples = _examples([3, 3, 3, 3])
    baseline = AnyFrame()
    baseline.fit(examples, FEATURES)
    np.testing.assert_allclose(baseline.answer(examples), baseline.frame_nll(examples).reshape(4, 3).sum(1))


def test_the_frame_before_is_a_line_through_training() -> None:
    examples = _examples()
    baseline = EachFromBefore()
    baseline.fit(examples, FEATURES)
    rows = [examples.targets.row(row).astype(float) for row in range(8)]  # type: ignore[union-attr]
    for channel in range(2):
        pairs = np.concatenate([np.stack([row[:-1, channel], row[1:, channel]], 1) for row in rows])
        line = stats.linregress(pairs[:, 0], pairs[:, 1])
        spread = (pairs[:, 1] - line.intercept - line.slope * pairs[:, 0]).std()
        every, firsts = np.concatenate(rows)[:, channel], [row[0, channel] for row in rows]
        # each first frame twice, and one more: half of it a deviation above the mean of all frames, half below
        twice = np.asarray([*firsts * 2, every.mean() - every.std(), every.mean() + every.std()])
        table = baseline._table[:, channel]
        assert table == pytest.approx([twice.mean(), twice.std(), line.intercept, line.slope, spread])
    one = baseline.frame_nll(examples)
    mean, deviation, level, slope, residual = baseline._table
    wanted = [
        -stats.norm.logpdf(frame, *((mean, deviation) if t == 0 else (level + slope * row[t - 1], residual))).sum()
        for row in rows
        for t, frame in enumerate(row)
    ]
    np.testing.assert_allclose(one, wanted)


@pytest.mark.parametrize("kind", [EachFromBefore, StepOfEach, Autoregression])
def test_one_row_does_not_make_sure_of_how_others_begin(kind: type[WrittenBaseline]) -> None:
    values = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    baseline = kind()
    baseline.fit(_examples([40], values), FEATURES)
    assert baseline.frame_nll(_examples([1], np.ones((1, 2), np.float32)))[0] < 20.0


def test_a_number_that_never_changes_has_the_least_deviation() -> None:
    frames = np.full((6, 2), 2.0, dtype=np.float32)
    examples = _examples([2, 2, 2], frames)
    for kind in (AnyFrame, EachFromBefore, StepOfEach):
        baseline = kind()
        baseline.fit(examples, FEATURES)
        assert baseline.answer(examples) == pytest.approx(
            np.full(3, 4 * (np.log(baseline.least) + 0.5 * np.log(2 * np.pi)))
        )


def _ridge(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """The penalty as further rows of a least-squares problem."""
    size = x.shape[1]
    rows = np.vstack([x, np.sqrt(penalty) * np.eye(size)]), np.vstack([y, np.zeros((size, y.shape[1]))])
    return np.asarray(np.linalg.lstsq(*rows, rcond=None)[0])


def test_autoregression_is_ridge_regression() -> None:
    """Each row of inputs built by hand, for each number of frames before; each frame left out in turn."""
    examples = _examples()
    baseline = Autoregression()
    baseline.fit(examples, FEATURES)
    seen: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {0: [], 1: [], 2: []}
    places = []
    for number in range(8):
        row, given = examples.targets.row(number).astype(float), np.eye(5)[GIVEN[number]]  # type: ignore[union-attr]
        for t, frame in enumerate(row):
            before = [row[t - k] for k in (1, 2) if t >= k]
            places.append((len(before), len(seen[len(before)])))
            seen[len(before)].append((np.concatenate([*before, [1.0, t / LENGTHS.max()], given]), frame))
    wanted = {}
    for count, pairs in seen.items():
        x, y = np.asarray([one for one, _ in pairs]), np.asarray([other for _, other in pairs])
        spreads = {}
        for penalty in (1.0, 100.0, 10_000.0):
            left = [y[i] - x[i] @ _ridge(np.delete(x, i, 0), np.delete(y, i, 0), penalty) for i in range(len(x))]
            spreads[penalty] = np.sqrt(np.mean(np.square(left), axis=0))
        best = min(spreads, key=lambda penalty: float(np.log(spreads[penalty]).sum()))
        squares = [*[spreads[best] ** 2] * len(y), examples.targets.values.astype(float).var(0)]  # type: ignore[union-attr]
        wanted[count] = -stats.norm.logpdf(y, x @ _ridge(x, y, best), np.sqrt(np.mean(squares, axis=0))).sum(1)
    expected = [wanted[count][place] for count, place in places]
    np.testing.assert_allclose(baseline.frame_nll(examples), expected, rtol=1e-6)


def test_notes_of_the_frame_before_sum_to_one() -> None:
    """Over all frames of two notes that may follow another."""
    feature = NotesFeature(NotesRecipe(lowest=60, highest=61))
    values = np.random.default_rng(0).integers(0, 2, (12, 2)).astype(np.uint8)
    train = _examples([3, 3, 3, 3], values)
    for kind in (AnyFrame, EachFromBefore):
        baseline = kind()
        baseline.fit(train, Features(FEATURES.input, feature))
        for before in itertools.product((0, 1), repeat=2):
            pairs = [_examples([2], np.asarray([before, now], np.uint8)) for now in itertools.product((0, 1), repeat=2)]
            assert sum(np.exp(-baseline.frame_nll(pair)[1]) for pair in pairs) == pytest.approx(1.0)


def test_a_step_of_its_kind_knows_the_rows_that_were_given_the_same() -> None:
    frames = np.zeros((16, 2), dtype=np.float32)
    frames[::2] = 1.0  # of each row the first step
    frames[[2, 6, 10, 14]] = -1.0  # of the second kind
    examples = _examples([2] * 8, frames)
    baseline = StepOfEach()
    baseline.fit(examples, FEATURES)
    mean, variance = frames.astype(float).mean(0), frames.astype(float).var(0)
    own = (4 * 1.0 + mean[0]) / 5
    spread = np.sqrt((4 * 1.0 + variance[0] + mean[0] ** 2) / 5 - own**2)
    assert baseline.frame_nll(examples)[0] == pytest.approx(-2 * stats.norm.logpdf(1.0, own, spread))


def test_beside_a_trained_model(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "curves.jsonl"
    with path.open("w") as out:
        for k in range(80):
            steps = np.arange(random.integers(5, 9))
            curve = (0.2 if k % 2 else -0.2) * steps + 0.05 * random.normal(size=len(steps))
            out.write(json.dumps({"kind": f"k{k % 2}", "curve": curve.round(3).tolist()}) + "\n")
    settings = {"model.hidden_size": 8, "training.epochs": 2, "training.baselines_seconds": 0}
    run = ostinato.train(
        path, input="kind", target="curve", settings=settings, out=tmp_path / "run", observer=Observer()
    )
    found = compare_with_baselines(
        run.spec, run.model, prepare(run.recipe), run.device, run.summary, 30.0, lambda _: None
    )
    names = [one.name for one in found.baselines]
    assert set(names) >= {"any frame", "the frame before", "the same step of its kind", "linear autoregression"}
    assert found.figure == "nats_per_frame"
    assert "nats per frame" in found.conclusion
