"""A decoder of frames: whole sequences are what steps make, ends are probabilities, rows alone and in company."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ostinato.data.features.numbers import NumbersFeature
from ostinato.errors import RecipeError
from ostinato.layers.frame_decoder import FrameDecoder, make_decoder, previous_frames
from ostinato.layers.frames import Frames, NoteFrames, PictureFrames
from ostinato.layers.teacher_forcing import mixed, shifted
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.recipe.kinds import NumbersRecipe
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.types import Ragged, State

LENGTHS = [3, 1, 4, 2]
NUMBERS, NOTES, PICTURES = Frames(3), NoteFrames(3), PictureFrames(3)
ATTENTION = [
    {"attention": "luong"},
    {"attention": "luong", "score": "concat", "attention_size": 3, "input_feeding": True},
    {"attention": "bahdanau"},
    {"attention": "bahdanau", "input_feeding": True},
]


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _decoder(
    frames: Frames = NUMBERS, decoder: dict[str, Any] | None = None, *, memory: int = 0, fed: int = 0, **model: Any
) -> FrameDecoder:
    settings = {"hidden_size": 5, **model, "decoder": {"attention": "none", **(decoder or {})}}
    made = FrameDecoder(
        SequenceToSequenceRecipe.model_validate(settings), frames, memory_size=memory, fed_size=fed
    ).eval()
    for name, parameter in made.named_parameters():
        if name.endswith("bias"):
            nn.init.uniform_(parameter, -1, 1)  # ends and notes are likely enough to matter
    return made


def _rows(frames: Frames, lengths: list[int]) -> Ragged:
    shape = (sum(lengths), frames.values)
    values = {
        "numbers": torch.randn(shape),
        "notes": torch.randint(0, 2, shape, dtype=torch.uint8),
        "pictures": torch.randint(0, 256, (*shape, 1), dtype=torch.uint8),
    }[frames.holds]
    return Ragged.from_rows(values, [sum(lengths[:row]) for row in range(len(lengths))], lengths)


def _states(decoder: FrameDecoder, num_rows: int) -> list[State]:
    return [tuple(torch.randn_like(part) for part in state) for state in decoder.zero_states(num_rows)]


def _of_row(states: list[State], row: int) -> list[State]:
    return [tuple(part[:, row : row + 1] for part in state) for state in states]


def _alone(rows: Ragged, row: int) -> Ragged:
    values = rows.split_rows()[row]
    return Ragged.from_rows(values, [0], [len(values)])


def _stepped(
    decoder: FrameDecoder, target: Tensor, states: list[State], memory: Ragged | None, fed: Tensor | None
) -> Tensor:
    """-ln p of each frame of one row and of its end, told the frame before, a step at a time."""
    numbers = decoder.frames.floats(target, torch.float64)
    writing, last = decoder.begin(states, memory, fed), torch.zeros(1, decoder.frames.values)
    found: list[Tensor] = []
    for frame in numbers:
        read, writing = decoder.step(last, writing)
        last = frame.unsqueeze(0)
        going = decoder.output.nll(read, last)
        found.append(going if decoder.end is None else going - torch.log(1 - decoder.end(read).sigmoid()).squeeze(1))
    if decoder.end is not None:
        read, writing = decoder.step(last, writing)
        found.append(-torch.log(decoder.end(read).sigmoid()).squeeze(1))
    return torch.cat(found)


def _check_steps(decoder: FrameDecoder, memory_size: int = 0, fed_size: int = 0) -> None:
    targets, states = _rows(decoder.frames, LENGTHS), _states(decoder, len(LENGTHS))
    memory = _rows(Frames(memory_size), [2, 5, 1, 3]) if memory_size else None
    fed = torch.randn(len(LENGTHS), fed_size) if fed_size else None
    whole = decoder.nll(targets, states, memory, fed)
    ends = 0 if decoder.end is None else 1
    assert whole.lengths.tolist() == [length + ends for length in LENGTHS]
    for row, nll in enumerate(whole.split_rows()):
        about = None if memory is None else _alone(memory, row)
        said = None if fed is None else fed[row : row + 1]
        own = _of_row(states, row)
        stepped = _stepped(decoder, targets.split_rows()[row], own, about, said)
        torch.testing.assert_close(nll, stepped, rtol=0, atol=1e-10)
        alone = decoder.nll(_alone(targets, row), own, about, said)
        torch.testing.assert_close(nll, alone.values, rtol=0, atol=1e-10)
    loss = decoder.loss(targets, states, memory, fed)
    assert loss.item() == pytest.approx(whole.values.sum().item() / sum(LENGTHS))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("length", ["learnt", 4])
@pytest.mark.parametrize("frames", [NUMBERS, NOTES, PICTURES], ids=lambda frames: frames.holds)
def test_whole_sequences_are_what_steps_make_and_rows_know_nothing_of_each_other(
    frames: Frames, length: int | str, cell: str
) -> None:
    decoder = _decoder(frames, {"length": length}, cell=cell, num_layers=2, fed=2)
    _check_steps(decoder, fed_size=2)


@pytest.mark.parametrize("options", ATTENTION, ids=str)
@pytest.mark.parametrize("fed", [0, 2])
def test_with_attention_forced_is_stepped(options: dict[str, Any], fed: int) -> None:
    _check_steps(_decoder(NUMBERS, options, memory=4, fed=fed), memory_size=4, fed_size=fed)


@pytest.mark.parametrize("attention", ["luong", "bahdanau"])
def test_input_feeding_reads_what_attention_made_of_the_step_before(attention: str) -> None:
    """Written out for one row: luong feeds r back, bahdanau the context, whose query is the state before."""
    decoder = _decoder(NUMBERS, {"attention": attention, "input_feeding": True}, memory=4, cell="gru")
    targets, states, memory = _rows(NUMBERS, [3]), _states(decoder, 1), _rows(Frames(4), [5])
    inputs, wanted = decoder.inputs_and_targets(targets)
    laid = decoder.remember(memory)
    assert laid is not None
    assert decoder.attention is not None
    hidden, fed_back, found = states[0][0][0], torch.zeros(1, 4 if attention == "bahdanau" else 5), []
    for last in inputs.values.split(1):
        before = hidden
        if attention == "bahdanau":
            fed_back = decoder.attention(before.unsqueeze(1), laid)[0].squeeze(1)
        vector = torch.cat([decoder.written(last), fed_back], dim=1)
        hidden = decoder.stack.run(vector.unsqueeze(0), [(before.unsqueeze(0),)])[0].squeeze(0)
        context = fed_back if attention == "bahdanau" else decoder.attention(hidden.unsqueeze(1), laid)[0].squeeze(1)
        read = torch.tanh(decoder.read[0](torch.cat([hidden, context], dim=1)))  # type: ignore[index]
        fed_back = context if attention == "bahdanau" else read
        found.append(torch.cat([read, last], dim=1))
    nll = decoder.nll(targets, states, memory).values
    torch.testing.assert_close(nll, decoder.head.nll(torch.cat(found), wanted.values), rtol=0, atol=1e-10)


@pytest.mark.parametrize("options", ATTENTION, ids=str)
def test_what_is_attended_to_matters_and_gets_gradients(options: dict[str, Any]) -> None:
    decoder = _decoder(NUMBERS, options, memory=4)
    targets, states, memory = _rows(NUMBERS, LENGTHS), _states(decoder, 4), _rows(Frames(4), [2, 5, 1, 3])
    other = memory.with_values(-memory.values)
    assert not torch.allclose(decoder.nll(targets, states, memory).values, decoder.nll(targets, states, other).values)
    decoder.loss(targets, states, memory).backward()  # type: ignore[no-untyped-call]
    assert all(part.grad is not None and part.grad.abs().sum() > 0 for part in decoder.parameters())


@pytest.mark.parametrize("output", ["nade", "autoregressive"])
def test_notes_of_a_frame_may_know_of_each_other(output: str) -> None:
    decoder = _decoder(NOTES, notes={"output": output, "output_size": 4})
    _check_steps(decoder)


@pytest.mark.parametrize("output", ["independent", "nade", "autoregressive"])
def test_all_first_frames_of_notes_and_the_end_have_probability_one_together(output: str) -> None:
    size = {} if output == "independent" else {"output_size": 4}
    decoder = _decoder(NOTES, notes={"output": output, **size})
    every = torch.cartesian_prod(*[torch.tensor([0, 1], dtype=torch.uint8)] * 3)
    nll = decoder.nll(Ragged.from_rows(every, range(8), [1] * 8), decoder.zero_states(8))
    first = torch.stack([row[0] for row in nll.split_rows()])
    none = decoder.nll(Ragged.from_rows(every, [0], [0]), decoder.zero_states(1)).values
    assert ((-first).exp().sum() + (-none).exp().sum()).item() == pytest.approx(1)


def test_with_constant_log_odds_of_an_end_lengths_are_geometric() -> None:
    decoder = _decoder(NOTES)
    assert decoder.end is not None
    nn.init.zeros_(decoder.end.weight)
    hazard = 0.3
    nn.init.constant_(decoder.end.bias, math.log(hazard / (1 - hazard)))
    targets = _rows(NOTES, list(range(12)))
    states = decoder.zero_states(12)
    inputs, wanted = decoder.inputs_and_targets(targets)
    read = decoder.outputs(inputs, states, None)[0]
    whole = read.with_values(decoder.head.nll(read.values, wanted.values)).split_rows()
    for length, (nll, target) in enumerate(zip(whole, targets.split_rows(), strict=True)):
        of_frames = torch.zeros(())
        if length:
            alone = Ragged.from_rows(target, [0], [length])
            seen = decoder.outputs(previous_frames(alone, torch.float64), decoder.zero_states(1), None)[0].values
            of_frames = decoder.output.nll(seen, target).sum()
        p = (of_frames - nll.sum()).exp().item()
        assert p == pytest.approx(hazard * (1 - hazard) ** length)


def test_a_set_length_has_no_end() -> None:
    decoder = _decoder(NUMBERS, {"length": 3})
    assert (decoder.end, decoder.length) == (None, 3)
    assert not any("end" in name.split(".") for name, _ in decoder.named_parameters())
    assert decoder.about.endswith("3 of them")
    assert _decoder(NUMBERS, {"length": "learnt"}).about.endswith("the end")


def test_numbers_are_told_the_frame_before_once_more_and_notes_are_not() -> None:
    assert (_decoder(NUMBERS).output.raw.in_features, NUMBERS.skipped) == (5 + 3, 3)  # type: ignore[union-attr]
    assert (_decoder(NOTES).output.logits.in_features, NOTES.skipped) == (5, 0)  # type: ignore[union-attr]
    decoder = _decoder(NUMBERS)
    last = torch.randn(2, 3)
    read, _ = decoder.step(last, decoder.begin(decoder.zero_states(2)))
    assert torch.equal(read[:, 5:], last)


def test_pictures_as_numbers_and_back() -> None:
    stored = torch.arange(256, dtype=torch.uint8).view(64, 2, 2)
    frames = PictureFrames(4)
    numbers = frames.floats(stored, torch.float32)
    assert (numbers.min().item(), numbers.max().item(), numbers.shape) == (-1, 1, (64, 4))
    assert torch.equal(frames.stored(numbers), stored.flatten(1))
    outside = frames.stored(torch.tensor([[-3.0, 3.0, 0.0, 1.0]]))
    assert outside.tolist() == [[0, 255, 128, 255]]
    assert torch.equal(NUMBERS.stored(numbers), numbers)


def test_shifted_frames_begin_and_end_with_zeros() -> None:
    frames = _rows(NUMBERS, [2, 0, 1])
    read, wanted = (part.split_rows() for part in shifted(frames, 0.0))
    zeros = torch.zeros(1, 3)
    for before, after, row in zip(read, wanted, frames.split_rows(), strict=True):
        assert torch.equal(before, torch.cat([zeros, row]))
        assert torch.equal(after, torch.cat([row, zeros]))


def test_what_is_asked_of_a_step_is_the_frame_and_that_there_is_one() -> None:
    targets = _rows(PICTURES, [2, 1])
    inputs, wanted = _decoder(PICTURES, {"length": "learnt"}).inputs_and_targets(targets)
    first = PICTURES.floats(targets.split_rows()[0], torch.float64)
    assert torch.equal(inputs.split_rows()[0], torch.cat([torch.zeros(1, 3), first]))
    assert torch.equal(wanted.split_rows()[0][:, :3], torch.cat([first, torch.zeros(1, 3)]))
    assert wanted.split_rows()[0][:, 3].tolist() == [1, 1, 0]
    inputs, wanted = _decoder(PICTURES, {"length": 2}).inputs_and_targets(targets)
    assert (inputs.lengths.tolist(), wanted.values[:, 3].tolist()) == ([2, 1], [1, 1, 1])
    assert torch.equal(inputs.split_rows()[0], torch.cat([torch.zeros(1, 3), first[:1]]))


def test_scheduled_sampling_changes_what_later_steps_read_alone() -> None:
    decoder = _decoder(NUMBERS, fed=0)
    targets, states = _rows(NUMBERS, LENGTHS), _states(_decoder(NUMBERS), 4)
    told, own = decoder.loss(targets, states), decoder.loss(targets, states, own_share=1.0)
    assert own.item() != pytest.approx(told.item())
    single = _rows(NUMBERS, [0, 0, 0, 0])
    assert torch.equal(decoder.loss(single, states), decoder.loss(single, states, own_share=1.0))
    inputs, _ = decoder.inputs_and_targets(targets)
    guesses = torch.arange(len(inputs.values)).view(-1, 1).expand(-1, 3).double() + 100
    rows = mixed(inputs, guesses, 1.0).split_rows()
    for row, of_guesses in zip(rows, inputs.with_values(guesses).split_rows(), strict=True):
        assert torch.equal(row[0], torch.zeros(3))
        assert torch.equal(row[1:], of_guesses[:-1])
    assert torch.equal(mixed(inputs, guesses, 0.0).values, inputs.values)


def test_gradients_of_the_loss_are_those_of_finite_differences() -> None:
    for options in ({}, *ATTENTION):
        decoder = _decoder(Frames(2), options, memory=2, hidden_size=3, numbers={"components": 2})
        targets, states, memory = _rows(Frames(2), [2, 1]), _states(decoder, 2), _rows(Frames(2), [1, 3])
        loss = decoder.loss(targets, states, memory)
        parts = dict(decoder.named_parameters())
        for name, slope in zip(parts, torch.autograd.grad(loss, list(parts.values())), strict=True):
            flat, place = parts[name].data.view(-1), int(slope.abs().argmax())
            was, sides = flat[place].item(), []
            for step in (1e-5, -1e-5):
                flat[place] = was + step
                sides.append(decoder.loss(targets, states, memory).item())
            flat[place] = was
            assert slope.view(-1)[place].item() == pytest.approx((sides[0] - sides[1]) / 2e-5, rel=1e-5, abs=1e-8), name


def test_what_writes_what() -> None:
    recipe = SequenceToSequenceRecipe(hidden_size=4)
    assert isinstance(make_decoder(recipe, 9), TokenDecoder)
    assert isinstance(make_decoder(recipe, NUMBERS), FrameDecoder)


def test_a_column_without_a_distribution_is_refused() -> None:
    with pytest.raises(
        RecipeError, match=r"frames are series, sound, notes or video\. Received: a column of kind number"
    ):
        Frames.of(NumbersFeature.fit(NumbersRecipe(), np.ones((4, 3))))
