"""What reaches the recurrences of a model: vectors, first states, and calls of single steps put together."""

from __future__ import annotations

import torch

from ostinato import nn
from ostinato.layers.inputs import embed_ids
from ostinato.probes.recurrences import Recurrence, recurrences
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.types import Ragged

SOURCE = Ragged.from_rows(torch.tensor([4, 7, 7, 5, 6]), starts=[0, 1, 3], lengths=[1, 2, 2])
TARGET = Ragged.from_rows(torch.tensor([3, 4, 5, 6, 3, 4]), starts=[0, 1, 4], lengths=[1, 3, 2])


def _found(**decoder: object) -> tuple[Seq2Seq, dict[str, Recurrence]]:
    torch.manual_seed(0)
    recipe = SequenceToSequenceRecipe.model_validate({"embedding_dim": 3, "hidden_size": 4, "decoder": decoder})
    model = Seq2Seq(recipe, embed_ids(10, recipe), written=9).eval()
    return model, {found.name: found for found in recurrences(model, lambda: model.nll(SOURCE, TARGET))}


def test_encoder_and_decoder_are_told_apart() -> None:
    model, found = _found(attention="luong")
    assert list(found) == ["encoder", "decoder"]
    encoder, decoder = found.values()
    torch.testing.assert_close(encoder.inputs.values, model.encoder.embedding(SOURCE).values)
    assert encoder.initial is None  # zeros
    assert decoder.initial is not None
    _, states = model.read(SOURCE)
    for kept, state in zip(decoder.initial, states, strict=True):
        for part, wanted in zip(kept, state, strict=True):
            torch.testing.assert_close(part, wanted.detach())
            assert not part.requires_grad
    assert decoder.inputs.lengths.tolist() == [2, 4, 3]


def test_single_steps_are_put_together() -> None:
    """A decoder that runs step by step: what it read, run in one go, gives what it gave."""
    model, found = _found(attention="luong", input_feeding=True)
    decoder = found["decoder"]
    assert sorted(decoder.inputs.lengths.tolist()) == [2, 3, 4]
    assert decoder.initial is not None
    with torch.no_grad():
        _, states = model.read(SOURCE)
        order = decoder.inputs.lengths.argsort(descending=True)
        assert decoder.inputs.lengths[order].tolist() == [4, 3, 2]
        embedded = model.decoder.embedding(TARGET).split_rows()  # after the first <end>
        longest = decoder.inputs.split_rows()[int(order[0])]
        torch.testing.assert_close(longest[1:, :3], embedded[1])
    torch.testing.assert_close(decoder.initial[0][0][0, int(order[0])], states[0][0][0, 1])


def test_rows_are_taken_with_their_first_states() -> None:
    stack = nn.GRU(2, 3)
    inputs = Ragged.from_padded(torch.arange(12.0).view(2, 3, 2))
    initial = [(torch.arange(6.0).view(1, 2, 3),)]
    taken = Recurrence("encoder", (stack,), inputs, initial).take(
        torch.tensor([1, 1]), torch.tensor([0, 2]), torch.tensor([2, 1])
    )
    assert [row.tolist() for row in taken.inputs.split_rows()] == [[[6.0, 7.0], [8.0, 9.0]], [[10.0, 11.0]]]
    assert taken.initial is not None
    assert taken.initial[0][0][0].tolist() == [[3.0, 4.0, 5.0]] * 2
