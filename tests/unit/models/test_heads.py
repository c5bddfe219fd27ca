"""What every head can do: losses that are -ln p, draws that follow them, points, sequences, and which one is made."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ostinato.data.targets import ClassTarget, LabelsTarget, NumberTarget
from ostinato.errors import RecipeError, ShapeError
from ostinato.heads.base import OutputHead
from ostinato.heads.build import frame_head, row_head, step_head, value_head
from ostinato.heads.classes import Bernoulli, Chain, Ctc, Labels, Softmax, TwoClasses
from ostinato.heads.distributions import Gaussian, Point, Quantiles, Series, StudentT
from ostinato.heads.frames import EndedFrames
from ostinato.heads.mixture import MixtureDensity
from ostinato.nn import LinearChainCRF
from ostinato.nn.ctc import ctc_nll
from ostinato.recipe.forecast import WindowsRecipe
from ostinato.recipe.model import FrameOutputRecipe
from ostinato.recipe.parts import WrittenNumbersRecipe
from ostinato.types import Ragged

MANY = 20_000


def _outputs(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def _shares(head: OutputHead, outputs: Tensor, every: Tensor) -> tuple[Tensor, Tensor]:
    """How often each target of `every` is drawn from one item's outputs, and its probability."""
    drawn = head.sample(outputs.expand(MANY, -1), torch.Generator().manual_seed(1)).view(MANY, -1)
    counts = torch.stack([(drawn == one.view(1, -1)).all(1).double().mean() for one in every])
    return counts, (-head.nll(outputs.expand(len(every), -1), every)).exp()


@pytest.mark.parametrize(
    ("head", "size", "every"),
    [
        (Softmax(), 4, torch.arange(4)),
        (TwoClasses(), 1, torch.arange(2)),
        (Bernoulli(), 2, torch.cartesian_prod(torch.arange(2), torch.arange(2))),
    ],
)
def test_draws_follow_probabilities_which_sum_to_one(head: OutputHead, size: int, every: Tensor) -> None:
    outputs = _outputs(1, size)
    counts, probabilities = _shares(head, outputs, every)
    assert float(probabilities.sum()) == pytest.approx(1.0)
    torch.testing.assert_close(counts, probabilities, atol=0.015, rtol=0)
    point = head.point(outputs).view(1, -1)
    assert torch.equal(point.long(), every[probabilities.argmax()].view(1, -1))


def test_a_softmax_leaves_out_what_is_not_known() -> None:
    outputs, target = _outputs(4, 3), torch.tensor([2, -1, 0, -2])
    losses = Softmax().loss(outputs, target, 0.1, "none")
    assert losses[[1, 3]].tolist() == [0.0, 0.0]
    known = F.cross_entropy(outputs[[0, 2]], target[[0, 2]], label_smoothing=0.1, reduction="none")
    torch.testing.assert_close(losses[[0, 2]], known)
    assert Softmax().count(target) == 2
    torch.testing.assert_close(Softmax().loss(outputs, target), Softmax().nll(outputs, target).sum() / 2)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_binary_losses_are_of_a_smoothed_truth(smoothing: float) -> None:
    outputs, target = _outputs(5, 3), (_outputs(5, 3) > 0.2).double()
    smooth = target * (1 - smoothing) + smoothing / 2
    each = F.binary_cross_entropy_with_logits(outputs, smooth, reduction="none")
    torch.testing.assert_close(Bernoulli().loss(outputs, target, smoothing, "none"), each.sum(1))
    torch.testing.assert_close(Bernoulli().loss(outputs, target, smoothing, "sum"), each.sum())
    torch.testing.assert_close(Labels().loss(outputs, target, smoothing, "none"), each.mean(1))
    torch.testing.assert_close(TwoClasses().loss(outputs[:, :1], target[:, 0], smoothing), each[:, 0].mean())


def test_a_number_is_said_on_its_own_scale() -> None:
    head, outputs = Point("mse", mean=10.0, std=2.0), torch.tensor([[1.0], [0.0]])
    assert head.answers(outputs).tolist() == [12.0, 10.0]
    found = head.metrics(head.answers(outputs).numpy(), np.asarray([1.0, 0.5]))
    assert found["mae"] == pytest.approx(0.5)
    assert torch.equal(head.sample(outputs), torch.tensor([1.0, 0.0]))


def test_numbers_of_a_step_count_as_one() -> None:
    outputs, target = _outputs(4, 3), torch.zeros(4, 3)
    torch.testing.assert_close(Series("mse").nll(outputs, target), outputs.square().mean(1))
    assert torch.equal(Series("mse").point(outputs), outputs)


@pytest.mark.parametrize(("head", "size"), [(Gaussian(), 2), (StudentT(), 3)])
def test_a_mixture_of_one_is_the_distribution_of_each_number(head: Gaussian, size: int) -> None:
    name: Any = "student_t" if size == 3 else "gaussian"
    torch.manual_seed(0)
    frames = MixtureDensity(4, 2, WrittenNumbersRecipe(distribution=name, least_deviation=1e-4)).double()
    hidden, target = _outputs(6, 4), _outputs(6, 2)
    parameters = head.parameters(frames.raw(hidden).view(6, 2, size))
    torch.testing.assert_close(frames.nll(hidden, target), head.nll(parameters, target).sum(1))
    torch.testing.assert_close(frames.point(hidden), head.point(parameters))
    one = frames.sample(hidden, torch.Generator().manual_seed(3))
    other = head.sample(parameters, torch.Generator().manual_seed(3))
    torch.testing.assert_close(one, other)
    assert torch.equal(head.sample(parameters, temperature=0.0), head.point(parameters))


def test_quantiles_are_not_drawn_from() -> None:
    with pytest.raises(RecipeError, match="can't be drawn from step by step"):
        Quantiles((0.1, 0.5)).sample(_outputs(2, 2))


def test_an_end_and_a_frame_have_probability_one_together() -> None:
    torch.manual_seed(0)
    frames = frame_head(FrameOutputRecipe(), 4, 2, notes=True).double()
    head = EndedFrames(frames, torch.nn.Linear(4, 1).double())
    every = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.ones(1, dtype=torch.long))
    targets = torch.cat([every, torch.zeros(1, 3, dtype=torch.long)]).double()
    hidden = _outputs(1, 4).expand(5, -1)
    assert float((-head.nll(hidden, targets)).exp().sum().detach()) == pytest.approx(1.0)
    torch.testing.assert_close(head.loss(hidden, targets), head.nll(hidden, targets).sum() / 4)
    assert torch.equal(head.point(hidden), frames.point(hidden))


def test_sequences() -> None:
    outputs = Ragged.from_rows(_outputs(5, 3), [0, 3], [3, 2])
    tags, labels = (
        outputs.with_values(torch.tensor([0, 2, -1, 1, 1])),
        Ragged.from_rows(torch.tensor([1, 0]), [0, 1], [1, 1]),
    )
    crf = LinearChainCRF(3).double()
    total, count = Chain(crf).total(outputs, tags)
    torch.testing.assert_close(total, crf(outputs, tags).sum())
    assert count == 4
    assert torch.equal(Chain(crf).decode(outputs).values, crf.decode(outputs).values)
    total, count = Ctc().total(outputs, labels)
    torch.testing.assert_close(total, ctc_nll(outputs.with_values(outputs.values.log_softmax(1)), labels).sum())
    assert count == 2
    for beam_size in (1, 3):
        found = Ctc(beam_size).decode(outputs)
        assert (found.num_rows, found.values.dtype) == (2, torch.int64)
    with pytest.raises(ShapeError, match="as long as its inputs"):
        Softmax().total(outputs, labels)


def test_several_models_are_mixed_in_their_probabilities() -> None:
    two, several = _outputs(3, 4, 1), _outputs(3, 4, 5)
    torch.testing.assert_close(TwoClasses().mixture(two).sigmoid(), two.sigmoid().mean(0))
    torch.testing.assert_close(Softmax().mixture(several).softmax(1), several.softmax(2).mean(0))


def test_what_is_read_where_an_answer_is_fed_back() -> None:
    tags, numbers = Softmax().reader(3, 5), Series("mse").reader(3, 5)
    none = tags.first(2, torch.zeros(1))
    assert none.tolist() == [3, 3]
    assert torch.equal(tags(torch.tensor([-2, 7])), tags(none))
    assert torch.equal(numbers.first(2, torch.zeros(1)), torch.zeros(2, 3))
    assert numbers(torch.ones(2, 3, dtype=torch.uint8)).shape == (2, 5)


def test_which_head_is_made() -> None:
    assert type(row_head(ClassTarget("y", classes=("a", "b")))) is TwoClasses
    assert type(row_head(ClassTarget("y", classes=("a", "b", "c")))) is Softmax
    assert type(row_head(LabelsTarget("y", classes=("a", "b")))) is Labels
    assert type(row_head(NumberTarget("y"))) is Point
    assert {kind: type(step_head(kind)) for kind in ("tags", "notes", "series")} == {
        "tags": Softmax,
        "notes": Bernoulli,
        "series": Series,
    }
    assert type(step_head("tags", "ctc")) is Ctc
    assert type(value_head(WindowsRecipe(output="huber"))) is Point
    assert math.isclose(float(value_head(WindowsRecipe(output="mae")).nll(torch.zeros(1, 1), torch.tensor([2.0]))), 2)
