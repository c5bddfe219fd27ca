"""Frames of notes predicted from those before them: exact distributions, causality, rows alone and in company."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.data.cut_rows import cut_rows
from ostinato.data.dataset import Examples
from ostinato.data.places import Places
from ostinato.data.sequences import Sequences
from ostinato.errors import DataError, RecipeError
from ostinato.heads.frames import NotesHead
from ostinato.heads.notes import IndependentNotes, Nade, NoteByNote, TiedNoteByNote
from ostinato.recipe import TrainingRecipe
from ostinato.tasks.next_step.model import NextStep, transposed
from ostinato.tasks.next_step.recipe import NextStepRecipe
from ostinato.tasks.next_step.tied_notes import TiedNotes
from ostinato.types import Ragged

OUTPUTS = ("independent", "nade", "autoregressive")
TIED = ("tied independent", "tied autoregressive")
ROWS = [[[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]], [[0, 0, 0, 1]], [[0, 1, 0, 0], [0, 1, 1, 0]]]


def _ragged(rows: list[list[list[int]]]) -> Ragged:
    flat = torch.tensor([frame for row in rows for frame in row], dtype=torch.uint8)
    lengths = torch.tensor([len(row) for row in rows])
    return Ragged.from_rows(flat, lengths.cumsum(0) - lengths, lengths)


def _model(output: str, num_notes: int = 4, transpose: int = 0, **more: float) -> NextStep:
    torch.manual_seed(0)
    kind = output.split()[-1]
    notes = {"output": kind, **({} if kind == "independent" else {"output_size": 6}), **more}
    tied = {"recurrence": "note", "reach": 2} if output in TIED else {}
    recipe = NextStepRecipe.model_validate({"hidden_size": 5, "notes": notes, **tied})
    model = NextStep(recipe, num_notes, transpose)
    return model.double().eval()


def _output(name: str, num_notes: int) -> NotesHead:
    torch.manual_seed(1)
    outputs: dict[str, NotesHead] = {
        "independent": IndependentNotes(3, num_notes),
        "nade": Nade(3, num_notes, 6),
        "autoregressive": NoteByNote(3, num_notes, 6),
        "tied independent": IndependentNotes(3, num_notes, tied=True),
        "tied autoregressive": TiedNoteByNote(3, num_notes, 6),
    }
    output = outputs[name]
    for parameter in output.parameters():
        torch.nn.init.normal_(parameter)
    return output.double().eval()


def _hidden(name: str, num_notes: int) -> Tensor:
    return torch.randn(1, *((num_notes, 3) if name in TIED else (3,)), dtype=torch.float64)


def _all_frames(num_notes: int) -> Tensor:
    return torch.tensor(list(itertools.product([0, 1], repeat=num_notes)), dtype=torch.uint8)


@pytest.mark.parametrize("name", OUTPUTS + TIED)
@pytest.mark.parametrize("num_notes", [1, 2, 7])
def test_the_probabilities_of_all_frames_sum_to_one(name: str, num_notes: int) -> None:
    frames = _all_frames(num_notes)
    hidden = _hidden(name, num_notes)
    nll = _output(name, num_notes).nll(hidden.expand(len(frames), *hidden.shape[1:]), frames)
    assert nll.shape == (2**num_notes,)
    assert (-nll).exp().sum().item() == pytest.approx(1.0, abs=1e-12)
    assert nll.std().item() > 0.01


def test_nade_is_its_equations_note_by_note() -> None:
    output = _output("nade", 5)
    assert isinstance(output, Nade)
    frames, hidden = _all_frames(5), torch.randn(32, 3, dtype=torch.float64)
    expected = []
    for frame, h in zip(frames, hidden, strict=True):
        bias, summed, nll = output.bias(h), output.start(h), torch.zeros((), dtype=torch.float64)
        for i, value in enumerate(frame.tolist()):
            p = (bias[i] + output.logits.weight[i] @ summed.sigmoid()).sigmoid()
            nll = nll - (p if value else 1 - p).log()
            summed = summed + value * output.read.weight[i]
        expected.append(nll)
    torch.testing.assert_close(output.nll(hidden, frames), torch.stack(expected))


def test_note_by_note_is_its_equations() -> None:
    output = _output("autoregressive", 4)
    assert isinstance(output, NoteByNote)
    frames, hidden = _all_frames(4), torch.randn(16, 3, dtype=torch.float64)
    expected = []
    for frame, h in zip(frames, hidden, strict=True):
        state, last, nll = output.start(h).tanh(), -1, torch.zeros((), dtype=torch.float64)
        for note in [*frame.nonzero()[:, 0].tolist(), 4]:
            logits = (output.logits(state) + output.bias(h))[last + 1 :]
            nll = nll - logits.log_softmax(0)[note - last - 1]
            if note < 4:
                state = output.notes(output.read(torch.tensor([[note]])), state.view(1, 1, -1))[0].view(-1)
                last = note
        expected.append(nll)
    torch.testing.assert_close(output.nll(hidden, frames), torch.stack(expected))


@pytest.mark.parametrize("name", OUTPUTS + TIED)
def test_what_is_drawn_has_its_probability(name: str) -> None:
    output, frames = _output(name, 3), _all_frames(3)
    hidden = _hidden(name, 3)
    drawn = output.sample(hidden.expand(20_000, *hidden.shape[1:]), torch.Generator().manual_seed(0))
    counts = torch.bincount((drawn.long() * torch.tensor([4, 2, 1])).sum(1), minlength=8) / 20_000
    shares = (-output.nll(hidden.expand(8, *hidden.shape[1:]), frames)).exp()
    torch.testing.assert_close(counts.double(), shares, atol=0.02, rtol=0.0)
    greedy = output.sample(hidden, temperature=0.0)
    assert torch.equal(greedy, output.sample(hidden, temperature=0.0))


@pytest.mark.parametrize("output", OUTPUTS + TIED)
def test_a_row_has_the_same_nats_alone_and_in_company(output: str) -> None:
    model = _model(output)
    frames = _ragged(ROWS)
    together = frames.with_values(model.nll(frames)).split_rows()
    for row, nll in zip(ROWS, together, strict=True):
        torch.testing.assert_close(model.nll(_ragged([row])), nll)


@pytest.mark.parametrize("output", OUTPUTS + TIED)
def test_a_frame_depends_on_those_before_it_only(output: str) -> None:
    model = _model(output)
    base = [[1, 0, 1, 0], [0, 1, 0, 0], [1, 1, 0, 1], [0, 0, 1, 0]]
    changed = [*base[:2], [0, 0, 1, 0], base[3]]
    before, after = model(_ragged([base])).values, model(_ragged([changed])).values
    torch.testing.assert_close(before[:3], after[:3], rtol=0, atol=0)  # what is known of a frame is known before it
    assert (before[3] != after[3]).any()
    nll = model.nll(_ragged([base])), model.nll(_ragged([changed]))
    torch.testing.assert_close(nll[0][:2], nll[1][:2], rtol=0, atol=0)
    assert nll[0][2] != nll[1][2]


def test_a_note_sees_its_neighbourhood_the_intervals_above_it_and_its_place() -> None:
    recipe = NextStepRecipe(hidden_size=5, recurrence="note", reach=2)
    layer = TiedNotes(recipe, num_notes=15, lowest=40)
    frames = (torch.rand(3, 15, generator=torch.Generator().manual_seed(3)) < 0.4).float()
    seen = layer.seen(frames)
    for m, note in itertools.product(range(3), range(15)):
        sounds = {40 + n for n in range(15) if frames[m, n]}
        pitch = 40 + note
        near = [float(pitch + k in sounds) for k in range(-2, 3)]
        intervals = [float(sum((p - pitch - k) % 12 == 0 for p in sounds)) for k in range(1, 13)]
        place = [float(pitch % 12 == k) for k in range(12)]
        assert seen[m, note].tolist() == pytest.approx([*near, *intervals, *place, (pitch - 64) / 32])


def test_notes_with_a_state_of_their_own_share_all_weights_but_their_place() -> None:
    torch.manual_seed(2)
    recipe = NextStepRecipe(hidden_size=5, recurrence="note", reach=3)
    layer = TiedNotes(recipe, num_notes=40, lowest=30).double()
    layer.place.zero_()  # type: ignore[operator]  # a note is not told which one it is
    frames = torch.zeros(6, 1, 40, dtype=torch.float64)
    frames[:, 0, 10:25] = (torch.rand(6, 15, generator=torch.Generator().manual_seed(3)) < 0.4).double()
    with torch.no_grad():
        here, there = layer(frames)[0], layer(frames.roll(5, dims=2))[0]
    torch.testing.assert_close(here[:, :, 5:30], there[:, :, 10:35])
    assert (here[:, :, 5:30] != here[:, :, 6:31]).any()


@pytest.mark.parametrize("output", TIED)
def test_notes_with_a_state_of_their_own_go_on_from_it(output: str) -> None:
    model = _model(output)
    rows = [row[:3] for row in (ROWS[0], [*ROWS[2], ROWS[1][0]])]  # two rows of three frames
    dense = torch.tensor(rows, dtype=torch.float64).transpose(0, 1)  # (L, N, C)
    whole, end = model.encoder(dense)
    first, between = model.encoder(dense[:1], model.encoder.zero_states(2))
    second, after = model.encoder(dense[1:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for one, other in zip(end, after, strict=True):
        for part, same in zip(one, other, strict=True):
            torch.testing.assert_close(part, same)
            assert part.shape[:2] == (1, 2)
    ragged = model.encoder(_ragged(rows).with_values(_ragged(rows).values.double()))[0]
    torch.testing.assert_close(torch.stack(ragged.split_rows(), dim=1), whole)


def test_nade_has_no_state_for_each_note() -> None:
    with pytest.raises(ValueError, match="autoregressive"):
        NextStepRecipe(recurrence="note", notes={"output": "nade"})


def test_the_first_frame_is_predicted_from_silence() -> None:
    model = _model("independent")
    first = model(_ragged([[[1, 1, 0, 0]], [[0, 0, 0, 0]]])).values
    torch.testing.assert_close(first[0], first[1], rtol=0, atol=0)


@pytest.mark.parametrize("output", OUTPUTS + TIED)
def test_the_loss_is_the_mean_over_frames_and_reaches_every_weight(output: str) -> None:
    model = _model(output).train()
    frames = _ragged(ROWS)
    loss = model.loss(Batch(frames, None, np.arange(3)), TrainingRecipe())
    assert loss.item() == pytest.approx(model.nll(frames).sum().item() / 6)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(bool(p.grad is not None and (p.grad != 0).any()) for p in model.parameters())


def test_transposition_moves_whole_rows_and_loses_no_note() -> None:
    rows = [[[0, 0, 1, 0, 1, 0, 0], [0, 0, 0, 0, 0, 0, 0]], [[1, 0, 0, 0, 0, 0, 1]], [[0, 0, 0, 0, 0, 0, 0]]]
    frames = _ragged(rows)
    seen = set()
    for draw in (0.0, 0.3, 0.5, 0.7, 0.999):
        first, second, silent = transposed(frames, 2, torch.full((3,), draw)).split_rows()
        seen.add(tuple(first[0].tolist()))
        assert abs(int(transposed(frames, 1, torch.full((3,), draw)).split_rows()[0][0].argmax()) - 2) <= 1
        assert int(first[1].sum()) == 0
        assert second.tolist() == rows[1]  # there is no room
        assert int(silent.sum()) == 0
    assert seen == {tuple(int(i in (2 + k, 4 + k)) for i in range(7)) for k in (-2, -1, 0, 1, 2)}


def test_transposition_is_drawn_from_seed_and_step_in_training_only() -> None:
    model = _model("independent", num_notes=9, transpose=3)
    frames = _ragged([[[0, 0, 0, 0, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 0, 0, 0, 0]]])

    def loss(step: int, seed: int = 0) -> float:
        return model.loss(Batch(frames, None, np.arange(1), step=step), TrainingRecipe(seed=seed)).item()

    assert len({loss(step) for step in range(5)}) == 1
    model.train()
    assert loss(3) == loss(3)
    assert len({loss(step) for step in range(8)}) > 2
    assert len({loss(0, seed) for seed in range(8)}) > 2


def test_rows_are_cut_into_equal_parts_that_hold_everything() -> None:
    sequences = Sequences.from_lengths(np.arange(16), np.array([10, 0, 3, 3]))
    cut = cut_rows(Examples(sequences, None, Places(), np.array([5, 6, 7, 8])), 4)
    assert cut.sequences.lengths.tolist() == [3, 3, 4, 0, 3, 3]
    assert cut.sequences.values.tolist() == list(range(16))
    assert cut.rows.tolist() == [5, 5, 5, 6, 7, 8]
    with pytest.raises(DataError, match="targets"):
        cut_rows(Examples(sequences, np.zeros(4), Places(), np.arange(4)), 4)


def test_it_never_reads_what_it_predicts() -> None:
    with pytest.raises(ValueError, match=r"`model\.bidirectional` must be false for next_step"):
        NextStepRecipe(bidirectional=True)


def test_one_value_a_row_has_no_next_frame(tmp_path: Path) -> None:
    from ostinato.data.dataset import Features
    from ostinato.data.features.numbers import NumbersFeature
    from ostinato.recipe.kinds import NumbersRecipe
    from ostinato.tasks.next_step.model import build_next_step

    features = Features(NumbersFeature(NumbersRecipe(), np.zeros(1), np.ones(1)))
    with pytest.raises(RecipeError, match=r"frames are series, sound, notes or video\. Received: a column of kind num"):
        build_next_step(NextStepRecipe(), features)
