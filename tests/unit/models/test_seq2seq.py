"""The decoder: whole targets and step by step are one model; bridges; scheduled sampling."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.layers.inputs import Vectors, embed_ids
from ostinato.layers.teacher_forcing import sampled_share, shifted
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.types import Ragged

V = 10


@pytest.fixture(autouse=True)
def _double() -> Any:
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _recipe(decoder: dict[str, Any], **model: Any) -> SequenceToSequenceRecipe:
    settings = {"hidden_size": 4, "embedding_dim": 5, "bidirectional": True, **model, "decoder": decoder}
    return SequenceToSequenceRecipe.model_validate(settings)


def _model(decoder: dict[str, Any], **model: Any) -> Seq2Seq:
    recipe = _recipe(decoder, **model)
    return Seq2Seq(recipe, embed_ids(20, recipe), V)


def _rows(lengths: list[int], high: int) -> Ragged:
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return Ragged.from_rows(torch.randint(3, high, (sum(lengths),)), starts, lengths)


VARIANTS: list[dict[str, Any]] = [
    {"attention": "none"},
    {"attention": "luong"},
    {"attention": "luong", "score": "concat", "input_feeding": True},
    {"attention": "luong", "score": "dot", "hidden_size": 8},
    {"attention": "bahdanau"},
    {"attention": "bahdanau", "input_feeding": True},
]


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("decoder", VARIANTS, ids=str)
def test_whole_targets_are_what_steps_make(decoder: dict[str, Any], tied: bool) -> None:
    model = _model(decoder, num_layers=2, tie_embeddings=tied, cell="gru" if tied else "lstm").eval()
    source, target = _rows([2, 4, 3], 20), _rows([4, 0, 2], V)
    nll = model.nll(source, target).to_padded()[0]
    writing = model.begin(source)
    wanted = [[*row.tolist(), END_ID] for row in target.split_rows()]
    last = torch.full((3,), END_ID)
    for time in range(5):
        scores, writing = model.decoder.step(last, writing)
        for row, ids in enumerate(wanted):
            if time < len(ids):
                torch.testing.assert_close(-scores.log_softmax(1)[row, ids[time]], nll[row, time])
        last = torch.tensor([ids[min(time, len(ids) - 1)] for ids in wanted])


@pytest.mark.parametrize("decoder", VARIANTS, ids=str)
def test_every_weight_learns(decoder: dict[str, Any]) -> None:
    model = _model({**decoder, "scheduled_sampling": 0.5})
    memory, states = model.read(_rows([2, 4, 3], 20))
    model.decoder.loss(_rows([4, 1, 2], V), states, memory, own_share=0.5, label_smoothing=0.1).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())


def test_a_decoder_without_encoder_reads_a_vector_at_each_step() -> None:
    decoder = TokenDecoder(_recipe({"attention": "luong"}), V, fed_size=3).eval()
    target, fed = _rows([3, 1], V), torch.randn(2, 3)
    nll = decoder.nll(target, decoder.zero_states(2), fed=fed)
    assert decoder.attention is None
    assert not torch.equal(nll.values, decoder.nll(target, decoder.zero_states(2), fed=-fed).values)
    scores, _ = decoder.step(torch.full((2,), END_ID), decoder.begin(decoder.zero_states(2), fed=fed))
    first = -scores.log_softmax(1).gather(1, target.select_first().unsqueeze(1))[:, 0]
    torch.testing.assert_close(first, nll.select_first())


def test_inputs_and_wanted_tokens() -> None:
    inputs, wanted = shifted(Ragged.from_rows(torch.tensor([5, 6, 7]), [0, 2, 2], [2, 0, 1]))
    assert [row.tolist() for row in inputs.split_rows()] == [[END_ID, 5, 6], [END_ID], [END_ID, 7]]
    assert [row.tolist() for row in wanted.split_rows()] == [[5, 6, END_ID], [END_ID], [7, END_ID]]


def test_scheduled_sampling_reads_own_tokens_and_never_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = TokenDecoder(_recipe({"attention": "none"}), V).eval()
    target = _rows([4, 2], V)
    read: list[Ragged] = []
    outputs = decoder.outputs
    monkeypatch.setattr(decoder, "outputs", lambda inputs, *rest: read.append(inputs) or outputs(inputs, *rest))
    decoder.loss(target, decoder.zero_states(2), own_share=1.0 - 1e-12)
    true, mixed = read
    guesses = outputs(true, decoder.zero_states(2), None)[0].to_padded()[0].argmax(2)
    rows = [row.tolist() for row in mixed.split_rows()]
    assert rows == [[END_ID, *guesses[0, :4].tolist()], [END_ID, *guesses[1, :2].tolist()]]
    assert [sampled_share(0.4, 100, step) for step in (0, 50, 1000)] == [0.0, 0.2, 0.4]


def test_bridges_of_states_as_they_are() -> None:
    for bridge, size in (("sum", 4), ("copy", 8)):
        model = _model({"bridge": bridge, "hidden_size": size}, num_layers=2)
        finals = model.encoder(source := _rows([2, 3], 20))[1]
        first = model.read(source)[1]
        for layer, state in enumerate(first):
            for part, final in zip(state, finals[layer], strict=True):
                expected = final.sum(0) if bridge == "sum" else torch.cat([final[0], final[1]], 1)
                assert torch.equal(part[0], expected)


def test_bridges_that_do_not_fit() -> None:
    with pytest.raises(RecipeError, match=r"adds up the states of 2 direction.s., 4 units.*Received: 8"):
        _model({"bridge": "sum", "hidden_size": 8})
    with pytest.raises(RecipeError, match=r"lays side by side the states of 2 direction.s., 8 units.*Received: 4"):
        _model({"bridge": "copy"})
    with pytest.raises(RecipeError, match=r"as many layers. Received: 1 and 2"):
        _model({"bridge": "sum", "num_layers": 2})


def test_a_linear_bridge_joins_stacks_of_any_depth() -> None:
    model = _model({"num_layers": 3, "hidden_size": 6}, num_layers=2)
    assert [part.shape for state in model.read(_rows([2, 3], 20))[1] for part in state] == [(1, 2, 6)] * 6


def test_the_source_may_be_vectors() -> None:
    model = Seq2Seq(_recipe({}), Vectors(3), V)
    frames = Ragged.from_rows(torch.randn(5, 3), [0, 2], [2, 3])
    assert model.nll(frames, _rows([1, 2], V)).lengths.tolist() == [2, 3]


@pytest.mark.parametrize(
    ("decoder", "message"),
    [
        ({"attention": "bahdanau", "score": "dot"}, "`score` only applies with `attention: luong`"),
        ({"attention_size": 9}, "`attention_size` only applies with `attention: bahdanau`, or `score"),
        ({"attention": "none", "input_feeding": True}, "`input_feeding` only applies with `attention"),
        ({"scheduled_sampling_steps": 9}, "`scheduled_sampling_steps` only applies with `scheduled_sampling`"),
        ({"beam_size": 1, "length_penalty": 1.0}, "`length_penalty` only applies with `beam_size` above 1"),
    ],
)
def test_options_that_would_be_ignored(decoder: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        _recipe(decoder)


def test_a_beam_is_no_wider_than_a_small_vocabulary() -> None:
    assert Seq2Seq(_recipe({}), Vectors(3), 30).decoder.beam_size == 5
    assert Seq2Seq(_recipe({}), Vectors(3), 5).decoder.beam_size == 3
    for asked_for in (4, 6):
        with pytest.raises(RecipeError, match=r"`model.decoder.beam_size` must be at most 3"):
            Seq2Seq(_recipe({"beam_size": asked_for}), Vectors(3), 5)
