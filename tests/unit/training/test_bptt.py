"""Truncated BPTT: exactly the gradients it should be, for every kind of loss, whatever the windows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato import nn as layers
from ostinato.bptt.reach import adaptive_reach
from ostinato.bptt.truncated import TruncatedBPTT
from ostinato.bptt.updates import cut_probability, random_lengths
from ostinato.data.streams import Tapes, Window
from ostinato.errors import RecipeError, RunError
from ostinato.nn.pooling import Pooling
from ostinato.recipe import BpttRecipe, build_recipe
from ostinato.types import State

LENGTHS = (7, 1, 12, 4, 9, 3)
OFFSETS = np.concatenate([[0], np.cumsum(LENGTHS)])
ORDER = np.array([2, 0, 4, 1, 5, 3])


class Toy(nn.Module):
    """A layer and a head in float64, on rows of made-up numbers: a tagger, a forecaster and a classifier in one."""

    def __init__(self, cell: str = "lstm", seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.layer = layers.build(cell, 3, 5).double()
        self.head, self.pooling = nn.Linear(5, 4).double(), Pooling(("last", "mean", "max", "attention"), 5).double()
        self.classes = nn.Linear(20, 2).double()
        random = np.random.default_rng(1)
        self.values = random.normal(size=(OFFSETS[-1], 3))
        self.tags, self.labels = random.integers(0, 4, OFFSETS[-1]), random.integers(0, 2, len(LENGTHS))

    def zeros(self, num_rows: int) -> list[State]:
        sizes = self.layer.cell.state_sizes(5)
        state = tuple(torch.zeros(1, num_rows, size, dtype=torch.float64) for size in sizes)
        return [state, tuple(part.double() for part in self.pooling.zero_state(num_rows))]

    def run(self, window: Window, states: list[State]) -> tuple[Any, State]:
        state = states[0]
        output, after = self.layer(window.take(self.values), state if len(state) > 1 else state[0])
        return output, after if isinstance(after, tuple) else (after,)

    def tag(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        output, after = self.run(window, states)
        return F.cross_entropy(self.head(output.values), window.take(self.tags).values, reduction="sum"), [
            after,
            states[1],
        ]

    def forecast(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        output, after = self.run(window, states)
        error = self.head(output.values)[:, :3] - window.take(self.values, 2).values
        return error.square().sum(), [after, states[1]]

    def classify(self, window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
        output, after = self.run(window, states)
        pooled, carried = self.pooling.absorb(output, states[1])
        ended = window.pieces.ends
        labels = torch.from_numpy(self.labels[window.pieces.rows[ended]])
        scores = self.classes(pooled[torch.from_numpy(np.flatnonzero(ended))])
        return F.cross_entropy(scores, labels, reduction="sum"), [after, carried]

    def training_of(self, losses: Literal["step", "end"], num_streams: int, **bptt: Any) -> TruncatedBPTT:
        step = self.tag if losses == "step" else self.classify
        layout = Tapes.of_rows(OFFSETS, ORDER, num_streams)
        return TruncatedBPTT(lambda _: layout, BpttRecipe(**bptt), step, self.zeros, losses)

    def whole_loss(self, losses: str) -> Tensor:
        """The summed loss of every row by itself, through all of its steps."""
        total = torch.zeros((), dtype=torch.float64)
        for row in range(len(LENGTHS)):
            window = Tapes.of_rows(OFFSETS, np.array([row]), 1).window(0, 99)
            total = total + (self.tag if losses == "step" else self.classify)(window, self.zeros(1))[0]
        return total


def _gradients(module: nn.Module) -> Tensor:
    return torch.cat(
        [torch.zeros(p.numel(), dtype=p.dtype) if p.grad is None else p.grad.flatten() for p in module.parameters()]
    )


def _sum_of_updates(toy: Toy, training: TruncatedBPTT, weight: Any) -> tuple[float, Tensor]:
    """The epoch's summed loss, and its gradients, each update's times `weight(update)`."""
    total, gradients = 0.0, torch.zeros(sum(p.numel() for p in toy.parameters()), dtype=torch.float64)
    for update in training.batches(0):
        toy.zero_grad()
        value, _ = training.backward(update)
        total += value * weight(update)
        gradients += _gradients(toy) * weight(update)
    return total, gradients


def _num_steps(update: Any) -> int:
    return sum(chunk.window.num_steps for chunk in update.chunks if chunk.counts)


@pytest.mark.parametrize("losses", ["step", "end"])
@pytest.mark.parametrize("cell", ["lstm", "gru", "elman_layer_norm"])
def test_a_window_over_all_is_full_backpropagation(losses: Literal["step", "end"], cell: str) -> None:
    toy = Toy(cell)
    training = toy.training_of(losses, 2, window=99)
    (update,) = training.batches(0)
    value, _ = training.backward(update)
    found = _gradients(toy)
    toy.zero_grad()
    count = sum(LENGTHS) if losses == "step" else len(LENGTHS)
    loss = toy.whole_loss(losses) / count
    loss.backward()  # type: ignore[no-untyped-call]
    assert value == pytest.approx(float(loss.detach()), rel=1e-12)
    torch.testing.assert_close(found, _gradients(toy), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("losses", ["step", "end"])
@pytest.mark.parametrize("num_streams", [1, 2, 3])
@pytest.mark.parametrize(("window", "backprop"), [(1, 1), (3, 3), (4, 9), (2, 3), (5, 25)])
def test_losses_are_those_of_whole_rows_whatever_the_window(
    losses: Literal["step", "end"], num_streams: int, window: int, backprop: int
) -> None:
    """State (and what was pooled) is carried on, and reset exactly where the next row begins."""
    toy = Toy()
    training = toy.training_of(losses, num_streams, window=window, backprop=backprop)
    total = 0.0
    for update in training.batches(0):
        value, _ = training.backward(update)
        counted = [chunk.window for chunk in update.chunks if chunk.counts]
        total += value * sum(w.num_steps if losses == "step" else int(w.pieces.ends.sum()) for w in counted)
    assert total == pytest.approx(float(toy.whole_loss(losses).detach()), rel=1e-12)
    assert training.num_batches == sum(1 for _ in training.batches(0))


@pytest.mark.parametrize(("window", "backprop"), [(4, 4), (4, 7), (3, 6), (2, 9), (1, 5), (5, 8)])
def test_gradients_reach_back_exactly_k2(window: int, backprop: int) -> None:
    """Against a plain loop: every update's losses, from the state at its beginning, which has no history."""
    toy = Toy()
    training = toy.training_of("step", 1, window=window, backprop=backprop)
    rows = torch.from_numpy(np.repeat(ORDER, np.array(LENGTHS)[ORDER]))
    places = np.concatenate([np.arange(OFFSETS[row], OFFSETS[row + 1]) for row in ORDER])
    for number, update in enumerate(training.batches(0)):
        toy.zero_grad()
        training.backward(update)
        found = _gradients(toy)
        toy.zero_grad()
        stop = min((number + 1) * window, len(places))
        begin, counted = max(0, (number + 1) * window - backprop), number * window
        state = toy.zeros(1)[0]
        loss = torch.zeros((), dtype=torch.float64)
        for step in range(stop):
            if step and rows[step] != rows[step - 1]:
                state = toy.zeros(1)[0]
            if step == begin:
                state = tuple(part.detach() for part in state)
            x = torch.from_numpy(toy.values[places[step]]).view(1, 1, 3)
            output, state = toy.layer(x, state)
            if step >= counted:
                tag = torch.tensor([toy.tags[places[step]]])
                loss = loss + F.cross_entropy(toy.head(output[0]), tag)
        (loss / (stop - counted)).backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(found, _gradients(toy), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("window", [3, 5])
def test_a_forecast_two_steps_ahead_stays_within_its_sequence(window: int) -> None:
    toy = Toy("gru")
    layout = Tapes.of_rows(OFFSETS, ORDER, 2, horizon=2)
    training = TruncatedBPTT(lambda _: layout, BpttRecipe(window=window), toy.forecast, toy.zeros)
    found = sum(training.backward(update)[0] * _num_steps(update) for update in training.batches(0))
    expected = 0.0
    for row, length in enumerate(LENGTHS):
        if length > 2:
            values = torch.from_numpy(toy.values[OFFSETS[row] : OFFSETS[row + 1]]).unsqueeze(1)
            output, _ = toy.layer(values[:-2])
            expected += float((toy.head(output)[..., :3] - values[2:]).square().sum().detach())
    assert found == pytest.approx(expected, rel=1e-12)


def test_without_carried_state_every_window_begins_in_zeros() -> None:
    toy = Toy()
    carried, fresh = (toy.training_of("step", 2, window=4, carry_state=flag) for flag in (True, False))
    losses = [[training.backward(update)[0] for update in training.batches(0)] for training in (carried, fresh)]
    assert losses[0][0] == losses[1][0]
    assert losses[0][1] != losses[1][1]
    tapes = Tapes.of_rows(OFFSETS, ORDER, 2)
    second = tapes.window(4, 8)
    alone, _ = toy.tag(second, toy.zeros(len(second.pieces)))
    assert losses[1][1] == pytest.approx(float(alone.detach()) / second.num_steps, rel=1e-12)


def test_state_carried_past_shuffled_windows_is_refused() -> None:
    training = Toy().training_of("step", 2, window=4)
    updates = list(training.batches(0))
    training.backward(updates[0])
    with pytest.raises(RunError, match="carried on from step 4, but the window begins at step 8") as error:
        training.backward(updates[2])
    assert "not shuffled" in str(error.value.hint)


@pytest.mark.parametrize("losses", ["step", "end"])
@pytest.mark.parametrize(
    "bptt", [{"window": 4, "backprop": 9}, {"window": 2}, {"window": 2, "backprop": 6, "truncation": "random"}]
)
def test_stopped_anywhere_and_restored_it_goes_on_alike(losses: Literal["step", "end"], bptt: dict[str, Any]) -> None:
    toy = Toy()

    def gradients(training: TruncatedBPTT, updates: Iterator[Any]) -> list[Tensor]:
        found = []
        for update in updates:
            toy.zero_grad()
            training.backward(update)
            found.append(_gradients(toy))
        return found

    training = toy.training_of(losses, 2, **bptt)
    whole = gradients(training, training.batches(0))
    for stop in range(1, len(whole)):
        first = toy.training_of(losses, 2, **bptt)
        gradients(first, itertools.islice(first.batches(0), stop))
        again = toy.training_of(losses, 2, **bptt)
        again.restore(first.carried())
        rest = gradients(again, again.batches(0, stop))
        assert len(rest) == len(whole) - stop
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[stop:], strict=True))


@pytest.mark.parametrize("losses", ["step", "end"])
def test_random_truncation_is_unbiased(losses: Literal["step", "end"], monkeypatch: pytest.MonkeyPatch) -> None:
    """ARTBP's defining property, without chance: the mean over all ways to cut, by probability, is full BPTT."""
    toy = Toy()
    recipe = BpttRecipe(window=6, backprop=12, truncation="random")
    num_windows = -(-Tapes.of_rows(OFFSETS, ORDER, 2).length // 6)
    assert num_windows == 4
    mean = torch.zeros(sum(p.numel() for p in toy.parameters()), dtype=torch.float64)
    certainty = 0.0
    for cuts in itertools.product([False, True], repeat=num_windows - 1):
        lengths, probability, current = [], 1.0, 0
        for cut in (*cuts, None):
            current += 1
            chance = cut_probability(recipe, current)
            probability *= 1.0 if cut is None else chance if cut else 1 - chance
            if cut is not False:
                lengths.append(current)
                current = 0
        monkeypatch.setattr("ostinato.bptt.truncated.random_lengths", lambda *_, found=tuple(lengths): list(found))
        training = toy.training_of(losses, 2, **recipe.model_dump())
        divisor = float(training._usual_losses or 0)
        _, gradients = _sum_of_updates(toy, training, lambda update, divisor=divisor: divisor)
        mean += probability * gradients
        certainty += probability
    assert certainty == pytest.approx(1.0)
    toy.zero_grad()
    toy.whole_loss(losses).backward()  # type: ignore[no-untyped-call]
    torch.testing.assert_close(mean, _gradients(toy), rtol=1e-9, atol=1e-10)
    fixed = toy.training_of("step", 2, window=6)
    _, biased = _sum_of_updates(toy, fixed, _num_steps)
    assert (biased - _gradients(toy)).norm() > 1e-3 * biased.norm()  # which cutting always at the same place is not


def test_random_updates_have_k2_steps_on_average() -> None:
    recipe = BpttRecipe(window=10, backprop=40, truncation="random")
    lengths = random_lengths(100_000, recipe, np.random.default_rng(0))
    assert sum(lengths) == 100_000
    assert np.mean(lengths) == pytest.approx(4.0, rel=0.15)
    assert max(lengths) > 12


@pytest.mark.parametrize("beta", [0.5, 0.9, 0.97])
@pytest.mark.parametrize("max_bias", [0.5, 0.1, 0.01])
def test_adaptive_reach_is_the_smallest_that_keeps_the_bias(beta: float, max_bias: float) -> None:
    """On gradients that decay as beta^k the bias is known: beta^(K + 1) / (1 - beta^(K + 1))."""
    reach = adaptive_reach([beta**k for k in range(400)], 1, max_bias)

    def bias(steps: int) -> float:
        return beta ** (steps + 1) / (1 - beta ** (steps + 1))

    assert bias(reach) <= max_bias < bias(reach - 1) or reach == 1
    assert adaptive_reach([1.0] * 50, 4, 0.1) == 4 * 49  # no decay: as far as was looked


def test_adaptive_truncation_shortens_where_gradients_vanish_and_keeps_what_matters() -> None:
    def reach(scale: float) -> int:
        torch.manual_seed(0)
        layer, head = layers.build("elman", 3, 5).double(), nn.Linear(5, 4).double()
        with torch.no_grad():
            nn.init.orthogonal_(layer.get_parameter("weight_hh_l0")).mul_(scale)
            layer.get_parameter("weight_ih_l0").mul_(0.01)
        values, tags = np.random.default_rng(0).normal(size=(4000, 3)), np.random.default_rng(0).integers(0, 4, 4000)

        def step(window: Window, states: list[State]) -> tuple[Tensor, list[State]]:
            output, h = layer(window.take(values), states[0][0])
            return F.cross_entropy(head(output.values), window.take(tags).values, reduction="sum"), [(h,)]

        bptt = BpttRecipe(window=8, backprop=64, truncation="adaptive")
        training = TruncatedBPTT(
            lambda _: Tapes.of_text(4000, 4), bptt, step, lambda n: [(torch.zeros(1, n, 5, dtype=torch.float64),)]
        )
        before = torch.get_rng_state()
        for update in itertools.islice(training.batches(0), 12):
            training.backward(update)
        assert torch.equal(before, torch.get_rng_state())
        return training.reach()

    assert reach(0.3) == 8
    assert 16 <= reach(0.95) <= 64
    assert reach(0.95) > reach(0.8)


def test_recomputed_windows_give_the_same_gradients() -> None:
    found = []
    for recompute in (False, True):
        toy = Toy()
        layout = Tapes.of_rows(OFFSETS, ORDER, 2)
        training = TruncatedBPTT(
            lambda _, layout=layout: layout, BpttRecipe(window=9), toy.tag, toy.zeros, recompute=recompute
        )
        found.append(_sum_of_updates(toy, training, _num_steps)[1])
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("bptt", "message"),
    [
        ({"window": 10, "backprop": 5}, r"`training.bptt.backprop` \(k2\) must be at least window \(k1 = 10\)"),
        ({"window": 10, "backprop": 0}, r"`training.bptt.backprop` must be a positive integer. Received: 0"),
        ({"window": 0}, r"`training.bptt.window` must be a positive integer. Received: 0"),
        ({"window": 5, "truncation": "random"}, r"`training.bptt.backprop` must be above window \(5\) with truncation"),
        ({"backprop": 5}, r"`training.bptt.window` must be set with backprop"),
        ({"window": 5, "bakprop": 9}, r"unknown key `training.bptt.bakprop`"),
        ("all", r"`training.bptt` must be full, a positive number of steps, or a mapping. Received: 'all'"),
        (0, r"`training.bptt` must be full, a positive number of steps, or a mapping. Received: 0"),
    ],
)
def test_impossible_truncations_are_refused(bptt: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_recipe({"training": {"bptt": bptt}})


@pytest.mark.parametrize("bptt", ["full", 64, {"window": 20, "backprop": 40, "carry_state": False}, None])
def test_the_recipe_reads_back_equal(bptt: object) -> None:
    recipe = build_recipe({"training": {"bptt": bptt}})
    assert build_recipe(recipe.model_dump(mode="json")) == recipe


@pytest.mark.parametrize(
    ("bptt", "losses", "message"),
    [
        (BpttRecipe(), "step", "must be a number of steps here"),
        (BpttRecipe(window=3, carry_state=False), "end", "carry_state` must be true"),
        (BpttRecipe(window=3, backprop=9, truncation="adaptive"), "end", "needs a loss at each step"),
    ],
)
def test_what_a_loss_at_the_end_rules_out(bptt: BpttRecipe, losses: Literal["step", "end"], message: str) -> None:
    toy = Toy()
    with pytest.raises(RecipeError, match=message):
        TruncatedBPTT(lambda _: Tapes.of_rows(OFFSETS, ORDER, 2), bptt, toy.classify, toy.zeros, losses)
