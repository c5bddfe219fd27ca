"""Baselines of models that write frames: densities that integrate to one, on equal terms with the model."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.stats import bernoulli, norm

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.recipe import build_recipe
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.frames import baselines as frames_written
from ostinato.tasks.frames.baseline_models import AnyFrame, Autoregression, EachFromBefore, StepOfEach
from ostinato.tasks.frames.baselines import WrittenBaseline, WrittenComparison, end_nll, hazard
from ostinato.tasks.frames.evaluation import monitor
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of

CPU = torch.device("cpu")
BASELINES = (AnyFrame, EachFromBefore, StepOfEach, Autoregression)


def _examples(rows: list[np.ndarray], given: list[int]) -> tuple[Examples, Any]:
    """Rows of frames, (T, C), for a value given; and as much of their features as a baseline reads."""
    targets = Sequences.from_lengths(np.concatenate(rows).astype(np.float32), np.asarray([len(row) for row in rows]))
    values = np.asarray(given, dtype=np.int32)
    inputs = Sequences.from_lengths(values, np.ones(len(rows), dtype=np.int64))
    column = SimpleNamespace(
        form="vectors", ragged=True, kind="series", frames_hold="numbers", value_shape=(rows[0].shape[1],)
    )
    read = SimpleNamespace(form="ids", ragged=False, kind="category", vocab_size=4)
    features = SimpleNamespace(input=read, target=column, sequence_target=column, extra={})
    return Examples(inputs, targets, Places(), np.arange(len(rows))), features


def _drawn(channels: int = 1, count: int = 60) -> tuple[list[np.ndarray], list[int]]:
    """Rows of 1 to 4 frames about the value given."""
    random = np.random.default_rng(0)
    given = [i % 3 for i in range(count)]
    return [random.normal(k - 1.0, 0.5, (int(random.integers(1, 5)), channels)) for k in given], given


def _fitted(kind: type[WrittenBaseline], **settings: Any) -> tuple[WrittenBaseline, list[np.ndarray], list[int]]:
    rows, given = _drawn()
    baseline = kind(**settings)
    baseline.fit(*_examples(rows, given))
    return baseline, rows, given


def test_the_ends_sum_to_one_and_are_the_share_that_ends() -> None:
    chances = hazard(np.asarray([2, 2, 2, 5, 5, 9]))
    lengths = np.arange(400)
    assert np.exp(-end_nll(chances, lengths)).sum() == pytest.approx(1.0, abs=1e-9)
    np.testing.assert_allclose(np.exp(-end_nll(chances, np.asarray([2, 5, 9]))), [1 / 2, 1 / 3, 1 / 6], atol=0.05)
    by_hand = -np.log1p(-chances[:3]).sum() - np.log(chances[3])
    assert end_nll(chances, np.asarray([3]))[0] == pytest.approx(by_hand)


@pytest.mark.parametrize("kind", BASELINES)
@pytest.mark.parametrize("length", [0, 1, 2])
def test_densities_of_rows_of_a_length_integrate_to_the_chance_of_it(kind: type[WrittenBaseline], length: int) -> None:
    baseline, rows, _ = _fitted(kind, ends=True)
    grid = np.linspace(-6, 6, 121)
    points = np.asarray(list(product(grid, repeat=length)))
    examples, _ = _examples([point[:, None] for point in points], [1] * len(points))
    mass = np.exp(-baseline.answer(examples)).sum() * (grid[1] - grid[0]) ** length
    chances = hazard(np.asarray([len(row) for row in rows]))
    assert mass == pytest.approx(np.exp(-end_nll(chances, np.asarray([length])))[0], rel=1e-6)


def test_a_step_of_a_kind_is_what_its_rows_say_there() -> None:
    baseline, rows, given = _fitted(StepOfEach)
    values = np.concatenate(rows)
    mean, square = values.mean(), (values**2).mean()
    answers = baseline.answer(_examples(rows, given)[0])
    for i in (0, 1, 17):
        wanted = 0.0
        for t, value in enumerate(rows[i][:, 0]):
            seen = [row[t, 0] for row, k in zip(rows, given, strict=True) if k == given[i] and len(row) > t]
            centre = (sum(seen) + mean) / (len(seen) + 1)
            spread = ((sum(x * x for x in seen) + square) / (len(seen) + 1) - centre**2) ** 0.5
            wanted -= norm.logpdf(value, centre, spread)
        assert answers[i] == pytest.approx(wanted, rel=1e-4)
    unknown = _examples([rows[0]], [3])[0]
    assert baseline.answer(unknown)[0] == pytest.approx(-norm.logpdf(rows[0], mean, values.std()).sum(), rel=1e-4)


def test_an_autoregression_finds_what_rows_were_made_by() -> None:
    random = np.random.default_rng(1)
    given, rows = [i % 3 for i in range(300)], []
    for k in given:
        row = [2.0 * k + random.normal(0, 0.3), 2.0 * k + random.normal(0, 0.3)]
        for _ in range(20):
            row.append(1.2 * row[-1] - 0.5 * row[-2] + k + random.normal(0, 0.1))
        rows.append(np.asarray(row)[:, None])
    examples, features = _examples(rows, given)
    baseline = Autoregression()
    baseline.fit(examples, features)
    late = [row[2:, 0] - 1.2 * row[1:-1, 0] + 0.5 * row[:-2, 0] - k for row, k in zip(rows, given, strict=True)]
    true = -norm.logpdf(np.concatenate(late), 0, 0.1).sum()
    early = sum(-norm.logpdf(row[:2, 0], 2.0 * k, 0.3).sum() for row, k in zip(rows, given, strict=True))
    count = sum(map(len, rows))
    assert (true + early) / count - 0.01 < baseline.answer(examples).sum() / count < (true + early) / count + 0.1
    other = AnyFrame()
    other.fit(examples, features)
    assert baseline.answer(examples).sum() < other.answer(examples).sum() - 2 * count


def test_deviations_of_many_inputs_are_those_of_rows_that_were_held_out() -> None:
    random = np.random.default_rng(2)
    rows = [random.normal(0, 1, (2, 40)) for _ in range(50)]
    baseline = Autoregression()
    baseline.fit(*_examples(rows, [0] * 50))
    fresh = [random.normal(0, 1, (2, 40)) for _ in range(200)]
    nll = baseline.answer(_examples(fresh, [0] * 200)[0]).mean() / 80
    assert nll < -norm.logpdf(random.normal(0, 1, 10_000)).mean() + 0.1


def test_no_deviation_goes_below_the_model_s_own() -> None:
    rows = [np.ones((3, 1))] * 6
    examples, features = _examples(rows, [0] * 6)
    for kind in BASELINES[:3]:
        for least in (0.01, 0.2):
            baseline = kind(least=least)
            baseline.fit(examples, features)
            assert baseline.answer(examples)[0] == pytest.approx(-3 * norm.logpdf(0, 0, least))


def test_notes_are_a_chain_each(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    rows = [(random.random((int(random.integers(2, 6)), 3)) < [0.1, 0.5, 0.9]).astype(np.uint8) for _ in range(20)]
    examples, features = _examples(rows, [0] * 20)
    features.target.kind = "notes"
    values = np.concatenate(rows)
    chances = (values.sum(0) + 0.5) / (len(values) + 1)
    plain, chain = AnyFrame(), EachFromBefore()
    for baseline in (plain, chain):
        baseline.fit(examples, features)
    wanted = [-bernoulli.logpmf(row, chances).sum() for row in rows]
    np.testing.assert_allclose(plain.answer(examples), wanted, rtol=1e-9)
    before = np.concatenate([np.vstack([np.zeros((1, 3)), row[:-1]]) for row in rows])
    table = [((values * (before == s)).sum(0) + chances) / ((before == s).sum(0) + 1) for s in (0, 1)]
    nll = -bernoulli.logpmf(values, np.where(before == 1, table[1], table[0])).sum()
    assert chain.answer(examples).sum() == pytest.approx(nll)


@pytest.mark.parametrize("kind", BASELINES)
def test_what_does_not_fit_into_memory_is_answered_in_parts(
    kind: type[WrittenBaseline], monkeypatch: pytest.MonkeyPatch
) -> None:
    baseline, rows, given = _fitted(kind, ends=True)
    examples, features = _examples(rows, given)
    whole, details = baseline.answer(examples), baseline.details
    monkeypatch.setattr(frames_written, "_MOST_NUMBERS", 40)
    np.testing.assert_allclose(baseline.answer(examples), whole)
    baseline.fit(examples, features)
    assert "of 60 rows" not in details
    assert "of 60 rows" in baseline.details
    assert np.isfinite(baseline.answer(examples)).all()


def _curves(folder: Path, *, lengths: list[int], **model: Any) -> dict[str, Any]:
    """A recipe for rising, falling and level noisy curves for their names."""
    random = np.random.default_rng(4)
    names = [("up", "down", "level")[i % 3] for i in range(240)]
    slopes = {"up": 0.5, "down": -0.5, "level": 0.0}
    curves = [
        [slopes[name] * t + random.normal(0, 0.2) for t in range(lengths[i % len(lengths)])]
        for i, name in enumerate(names)
    ]
    path = folder / "curves.parquet"
    pl.DataFrame({"kind": names, "curve": curves}).write_parquet(path)
    shape = {"task": "conditional", "hidden_size": 6, "embedding_dim": 3, **model}
    features = {"input": {"kind": "category"}, "target": {"kind": "series"}}
    training = {"epochs": 1, "num_threads": 1, "device": "cpu"}
    data = {"train": str(path), "input": "kind", "target": "curve", "validation": 0.3}
    return {"data": data, "features": features, "model": shape, "training": training}


def _compared(prepared: Prepared) -> dict[str, float]:
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features).eval()
    found = compare_with_baselines(
        task_of(prepared.recipe), model, prepared, CPU, {"seconds": 1.0}, 60.0, lambda _: None
    )
    validation = prepared.validation
    assert isinstance(validation, Examples)
    own = monitor(model, validation, prepared.features, CPU)
    assert found.own.metrics["nats_per_frame"] == pytest.approx(own["nats_per_frame"], rel=1e-6)
    assert not found.passed_over
    nll = {one.name: float(one.metrics["nats_per_frame"]) for one in found.baselines}
    comparison = WrittenComparison(model, prepared, CPU)
    for kind in task_of(prepared.recipe).baselines(prepared.recipe):
        if not kind.applies(prepared):
            continue
        baseline = kind.of(prepared)
        baseline.fit(comparison.train, prepared.features)
        alone = comparison.scores(baseline.answer(validation))["nats_per_frame"]
        assert alone == pytest.approx(nll[kind.name])
    return nll


def test_curves_for_a_name_have_all_baselines(tmp_path: Path) -> None:
    prepared = prepare(build_recipe(_curves(tmp_path, lengths=[6, 8, 11])))
    assert task_of(prepared.recipe).comparison(prepared.recipe) is WrittenComparison
    nll = _compared(prepared)
    assert set(nll) == {kind.name for kind in BASELINES}
    assert max(nll, key=lambda name: nll[name]) == AnyFrame.name
    assert nll[StepOfEach.name] < nll[EachFromBefore.name]
    assert nll[Autoregression.name] < nll[EachFromBefore.name]


def test_baselines_say_when_a_row_ends_where_the_model_does(tmp_path: Path) -> None:
    for length, ends in ((None, False), ("learnt", True)):
        decoder = {} if length is None else {"decoder": {"length": length}}
        recipe = _curves(tmp_path, lengths=[6], numbers={"least_deviation": 0.07}, **decoder)
        prepared = prepare(build_recipe(recipe))
        for kind in task_of(prepared.recipe).baselines(prepared.recipe):
            if not kind.applies(prepared):
                continue
            baseline = kind.of(prepared)
            assert isinstance(baseline, WrittenBaseline)
            assert (baseline.ends, baseline.least) == (ends, 0.07)


def test_a_series_written_step_by_step_has_baselines(tmp_path: Path) -> None:
    recipe = _curves(tmp_path, lengths=[6, 8])
    recipe["data"] = {**recipe["data"], "input": "curve"} | {"target": None}
    recipe["features"] = {"input": {"kind": "series"}}
    recipe["model"] = {"task": "next_step", "hidden_size": 6}
    prepared = prepare(build_recipe(recipe))
    assert set(_compared(prepared)) == {AnyFrame.name, EachFromBefore.name, Autoregression.name}
