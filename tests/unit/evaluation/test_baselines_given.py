"""Baselines of models that write for a value, and of models of music: proper distributions that learn what is there."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import END_ID
from ostinato.recipe import build_recipe
from ostinato.tasks.baselines import compare_with_baselines
from ostinato.tasks.conditional.baselines import GivenComparison, NgramsOfEach, _by_row, _closed, _RowNgrams
from ostinato.tasks.conditional.baselines_whole import WholeSequences
from ostinato.tasks.conditional.evaluation import metrics_of
from ostinato.tasks.next_step.baselines import FrameBefore, FrameRegression, NoteFrequencies
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of

CPU = torch.device("cpu")


def _rows(*rows: list[int]) -> Sequences:
    values = np.asarray([x for row in rows for x in row], dtype=np.int32)
    return Sequences.from_lengths(values, np.asarray([len(row) for row in rows]))


def test_rows_are_closed_and_padded() -> None:
    tokens, own = _closed(_rows([3, 4], [], [5]), pad=9, num_pads=2)
    assert tokens.tolist() == [9, 9, 3, 4, END_ID, 9, 9, END_ID, 9, 9, 5, END_ID]
    assert tokens[own].tolist() == [3, 4, END_ID, END_ID, 5, END_ID]
    assert _by_row(np.arange(6.0), _rows([3, 4], [], [5])).tolist() == [3.0, 3.0, 9.0]


@pytest.mark.parametrize("context", [[], [3], [4, 5], [3, 3, 3]])
def test_what_may_follow_in_a_row_sums_to_one(context: list[int]) -> None:
    random = np.random.default_rng(0)
    targets = _rows(*([int(x) for x in random.integers(3, 6, n)] for n in random.integers(0, 6, 50)))
    for ngrams in _RowNgrams.count(targets, 6, (2, 4)).values():
        rows = [[*context, token] for token in range(6) if token != END_ID]
        nll = [ngrams.nll(_rows(row))[len(context)] for row in rows] + [ngrams.nll(_rows(context))[-1]]
        assert np.exp(-np.asarray(nll)).sum() == pytest.approx(1.0, abs=1e-12)


def test_a_row_does_not_look_into_the_one_before() -> None:
    ngrams = _RowNgrams.count(_rows([3, 4], [4, 3], [3, 3, 4]), 6, (3,))[3]
    alone = ngrams.nll(_rows([4, 3]))
    np.testing.assert_allclose(ngrams.nll(_rows([3, 3], [4, 3]))[-3:], alone)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Texts of a's for the value `low`, of b's for `high`, and a few letters that both share."""
    random = np.random.default_rng(0)
    values = ["low", "high"] * 60
    texts = ["".join(random.choice(list("ab"[v == "high"] * 8 + "xy"), 2 + i % 5)) for i, v in enumerate(values)]
    path = tmp_path_factory.mktemp("given") / "rows.parquet"
    pl.DataFrame({"x": values, "y": texts}).write_parquet(path)
    data = {"train": str(path), "input": "x", "target": "y", "validation": 0.3}
    features = {"input": {"kind": "category"}, "target": {"kind": "text", "unit": "characters"}}
    model = {"task": "conditional", "hidden_size": 4, "embedding_dim": 4}
    recipe = {"data": data, "features": features, "model": model, "training": {"num_threads": 1}}
    return prepare(build_recipe({**recipe, "training": {"epochs": 1}}))


def test_the_value_helps_n_grams_that_know_it(prepared: Prepared) -> None:
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features).eval()
    found = compare_with_baselines(
        task_of(prepared.recipe), model, prepared, CPU, {"seconds": 1.0}, 60.0, lambda _: None
    )
    nll = {one.name: one.metrics["nats_per_token"] for one in found.baselines}
    assert nll["n-grams of each value"] < nll["n-grams, regardless of what is given"] < nll["frequencies alone"]
    assert found.unit == "rows"
    comparison = GivenComparison(model, prepared, CPU)
    metrics = metrics_of(model, comparison.validation, prepared.features, CPU, model.tokens.beam_size, None)
    assert found.own.metrics["nats_per_token"] == pytest.approx(metrics["loss"], rel=1e-6)
    assert "2 values" in found.baselines[2].details


def test_a_value_never_seen_gets_what_all_together_say(prepared: Prepared) -> None:
    baseline = NgramsOfEach()
    baseline.fit(prepared.train, prepared.features)
    one = GivenComparison(torch.nn.Identity(), prepared, CPU).one(0)
    baseline._each = {}
    np.testing.assert_allclose(baseline.answer(one), super(NgramsOfEach, baseline).answer(one))


def test_few_targets_are_picked_whole_by_a_linear_model() -> None:
    random = np.random.default_rng(0)
    words = [[3, 4], [5], [4, 4, 3]]
    which = random.integers(0, 3, 240)
    points = random.normal(0, 0.3, (240, 3)).astype(np.float32) + 2 * np.eye(3, dtype=np.float32)[which]
    rows = Sequences.from_lengths(points, np.ones(240, dtype=np.int64))
    examples = Examples(rows, _rows(*(words[i] for i in which)), Places(), np.arange(240))
    features: Any = SimpleNamespace(input=_Points, target=_Points, extra={})
    baseline = WholeSequences()
    baseline.fit(examples, features)
    assert float(baseline.answer(examples).mean()) < 0.1
    other = Examples(rows, _rows(*([5, 5, 5] for _ in which)), Places(), np.arange(240))
    assert np.isfinite(baseline.answer(other)).all()
    assert float(baseline.answer(other).min()) > 5.0
    assert baseline.details == "one of 3 sequences"


class _Points:
    """As much of a feature as a baseline reads: one vector a row; six tokens."""

    form, ragged, vocab_size = "vectors", False, 6


def test_values_that_are_all_different_have_no_n_grams_of_their_own(prepared: Prepared) -> None:
    assert NgramsOfEach.applies(prepared)
    train = prepared.train
    assert isinstance(train, Examples)
    numbers = Sequences.from_lengths(np.arange(len(train)), np.ones(len(train), dtype=np.int64))
    other = Examples(numbers, train.targets, Places(), np.arange(len(train)))
    assert not NgramsOfEach.applies(Prepared(**{**vars(prepared), "train": other}))


def test_notes_that_follow_others_are_learnt_from_the_frame_before(prepared: Prepared) -> None:
    random = np.random.default_rng(0)
    frames = np.zeros((400, 4), dtype=np.uint8)
    frames[np.arange(400), np.arange(400) % 3] = 1  # 0, 1, 2, 0, … , which no note can tell from its own past
    frames[:, 3] = random.random(400) < 0.3
    rows = Sequences.from_lengths(frames, np.asarray([100, 150, 150]))
    examples = Examples(rows, None, Places(), np.arange(3))
    nll = {}
    for baseline in (NoteFrequencies(), FrameBefore(), FrameRegression()):
        baseline.fit(examples, prepared.features)
        answers = baseline.answer(examples)
        assert [len(part) for part in answers] == [100, 150, 150]
        nll[baseline.name] = float(np.concatenate(answers).mean())
    chance = -0.3 * np.log(0.3) - 0.7 * np.log(0.7)
    assert nll["regression on the frame before"] == pytest.approx(chance, abs=0.15)
    assert nll["regression on the frame before"] < nll["the frame before"] - 0.3
