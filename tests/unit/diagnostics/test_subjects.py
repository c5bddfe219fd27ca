"""Subjects that begin in a state, answer within a row, read final states, or see less around each step."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ostinato import nn
from ostinato.diagnostics import Subject, gradient_by_lag, lyapunov_exponents, memory_horizon
from ostinato.nn import LinearChainCRF
from ostinato.tasks.tagging.diagnosis import tags_around
from ostinato.types import Ragged, State

LENGTHS = (9, 4, 7)


def _rows(size: int = 3, lengths: tuple[int, ...] = LENGTHS) -> Ragged:
    random = torch.Generator().manual_seed(0)
    return Ragged.from_padded(torch.randn(len(lengths), max(lengths), size, generator=random), lengths)


def _last(output: Ragged) -> Tensor:
    return output.select_last().square().sum(1)


def _stack(make: type[nn.RecurrentStack] = nn.LSTM, **options: bool) -> nn.RecurrentStack:
    torch.manual_seed(0)
    return make(3, 5, **options)


def test_rows_that_begin_in_a_state_are_the_ends_of_longer_ones() -> None:
    stack, cut = _stack(), 3
    whole = Subject((stack,), _rows(), _last, per_step=True)
    starts = whole.inputs.lengths.cumsum(0) - whole.inputs.lengths
    head = Ragged.from_rows(whole.inputs.row_major(), starts, torch.full_like(starts, cut))
    _, state = stack(head)
    tail = Ragged.from_rows(whole.inputs.row_major(), starts + cut, whole.inputs.lengths - cut)
    ends = Subject((stack,), tail, _last, per_step=True, initial=[tuple(part.detach() for part in state)])
    torch.testing.assert_close(ends.row_losses(), whole.row_losses())
    (long,), (short,) = gradient_by_lag(whole), gradient_by_lag(ends)
    assert short.norms[:1] == pytest.approx(long.norms[:1])  # of all three rows; further back fewer are in `ends`
    one_whole, one_end = whole.first_rows(1), ends.first_rows(1)
    (long,), (short,) = (gradient_by_lag(replace(one, loss=_last)) for one in (one_whole, one_end))
    assert short.norms == pytest.approx(long.norms[: len(short.norms)], rel=1e-4)
    assert lyapunov_exponents(one_end, 1, warm_up=0)[0].exponents_nats_per_step != pytest.approx(
        lyapunov_exponents(replace(one_end, initial=None), 1, warm_up=0)[0].exponents_nats_per_step
    )


def test_an_answer_within_a_row_is_one_at_the_end_of_a_shorter_row() -> None:
    """A layer that reads forward: what comes after the answer changes nothing."""
    stack, places = _stack(), torch.tensor([5, 0, 6])
    rows = _rows()
    within = Subject((stack,), rows, _last, per_step=True, places=places)
    starts = rows.lengths.cumsum(0) - rows.lengths
    ended = Subject((stack,), Ragged.from_rows(rows.row_major(), starts, places + 1), _last, per_step=True)
    torch.testing.assert_close(within.row_losses(), ended.row_losses())
    for steps in (1, 2, 4):
        torch.testing.assert_close(within.losses_within(steps), ended.losses_within(steps))
        torch.testing.assert_close(within.losses_within(steps, ahead=True), ended.row_losses())
    (ours,), (theirs,) = gradient_by_lag(within), gradient_by_lag(ended)
    assert ours.norms == pytest.approx(theirs.norms, rel=1e-5)
    assert ours.share == pytest.approx(theirs.share, rel=1e-5)
    assert ours.num_rows == theirs.num_rows
    assert memory_horizon(within).loss == pytest.approx(memory_horizon(ended).loss)
    assert memory_horizon(within, ahead=True).steps is None


def test_in_both_directions_lags_count_from_the_answer() -> None:
    stack = _stack(bidirectional=True)
    subject = Subject((stack,), _rows(), _last, per_step=True, places=torch.tensor([5, 0, 6]))
    forward, backward = gradient_by_lag(subject)
    assert (len(forward.norms), len(backward.norms)) == (7, 4)
    assert forward.num_rows[:2] == [3, 2]
    assert backward.num_rows == [3, 2, 2, 2]
    seen = subject.ahead(1)
    assert seen.inputs.lengths.tolist() == [6, 1, 7]
    kept = subject.last(2)
    assert kept.inputs.lengths.tolist() == [5, 4, 2]
    assert kept.places is not None
    assert kept.places.tolist() == [1, 0, 1]


def test_final_states_are_the_ends_of_the_output() -> None:
    stack = _stack(nn.GRU, bidirectional=True)
    size = stack.hidden_size

    def by_output(output: Ragged) -> Tensor:
        return (output.select_last()[:, :size] + 2 * output.select_first()[:, size:]).sum(1)

    def by_states(output: Ragged, finals: list[State]) -> Tensor:
        ((h_n,),) = finals
        return (h_n[0] + 2 * h_n[1]).sum(1)

    plain = Subject((stack,), _rows(), by_output, per_step=False)
    states = Subject((stack,), _rows(), by_states, per_step=False, reads_states=True)
    torch.testing.assert_close(plain.row_losses(), states.row_losses())
    for ours, theirs in zip(gradient_by_lag(states), gradient_by_lag(plain), strict=True):
        assert ours.norms == pytest.approx(theirs.norms, rel=1e-5)
        assert ours.share == pytest.approx(theirs.share, rel=1e-5)


def test_a_cell_state_that_the_loss_reads_has_a_gradient() -> None:
    """dL/dc_j of L = sum of c_T, by autograd through single steps."""
    stack = _stack().double()
    rows = Ragged.from_padded(_rows(lengths=(6,)).to_padded()[0].double())

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        return finals[0][1][0].sum(1)

    (found,) = gradient_by_lag(Subject((stack,), rows, loss, per_step=False, reads_states=True))
    states = [tuple(torch.zeros(1, 1, 5, dtype=torch.float64) for _ in range(2))]
    for x in rows.values:
        begin = tuple(part.detach().requires_grad_() for part in states[-1]) if len(states) == 1 else states[-1]
        _, after = stack(x.view(1, 1, -1), begin)
        for part in after:
            part.retain_grad()
        states.append(after)
    states[-1][1].sum().backward()
    gradients = [torch.cat([part.grad.flatten() for part in state if part.grad is not None]) for state in states[:0:-1]]
    size = gradients[0].norm()
    assert found.norms == pytest.approx([float(each.norm() / size) for each in gradients], rel=1e-9)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_less_around_each_step(bidirectional: bool) -> None:
    stack, rows = _stack(bidirectional=bidirectional), _rows()

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        ends = torch.cat(list(finals[0])).sum((0, 2))
        return torch.stack([row.square().sum() for row in output.split_rows()]) + ends

    subject = Subject((stack,), rows, loss, per_step=False, reads_states=True, around=True)
    torch.testing.assert_close(subject.losses_within(max(LENGTHS)), subject.row_losses())
    expected = []
    for row in rows.split_rows():
        steps = [stack(row[max(0, t - 1) : t + 2 if bidirectional else t + 1]) for t in range(len(row))]
        middle = [output[min(t, 1)] for t, (output, _) in enumerate(steps)]
        ends = [(final[0][0] + final[1][0]).sum() for final in [steps[-1][1]]]
        if bidirectional:
            ends.append((steps[0][1][0][1] + steps[0][1][1][1]).sum())
        expected.append(torch.stack(middle).square().sum() + sum(ends))
    torch.testing.assert_close(subject.losses_within(2), torch.stack(expected))


def test_a_tag_of_a_chain_given_the_tags_beside_it() -> None:
    """p(y_t | the other tags, x), by scoring every sequence that differs in that tag alone."""
    torch.manual_seed(0)
    crf = LinearChainCRF(3)
    for part in crf.parameters():
        torch.nn.init.normal_(part)
    tags = Ragged.from_rows(torch.tensor([0, 2, 1, 1]), starts=[0, 3], lengths=[3, 1])
    scores = tags.with_values(torch.randn(4, 3))
    rows, steps = torch.tensor([0, 0, 0, 1]), torch.tensor([0, 1, 2, 0])
    own = scores.row_major() + tags_around(crf, tags, rows, steps)
    for number, (row, step) in enumerate(zip(rows.tolist(), steps.tolist(), strict=True)):
        nll = []
        for tag in range(3):
            flat = tags.row_major().clone()
            flat[step if row == 0 else 3] = tag
            nll.append(crf(scores, Ragged.from_rows(flat, [0, 3], [3, 1]))[row])
        torch.testing.assert_close(own[number].log_softmax(0), (-torch.stack(nll)).log_softmax(0))
