"""Text drawn token by token: the core's loop against the model itself, chunks, rows, endings, bad scores."""

from __future__ import annotations

import pytest
import torch

from ostinato.data.vocabulary import PAD_ID, UNK_ID
from ostinato.errors import RunError
from ostinato.heads.sampling import Sampling
from ostinato.kernels import native
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.language_model.stream import TokenStream

pytestmark = pytest.mark.skipif(native.missing_reason() is not None, reason="the native core is not installed")


def make(backend: str = "auto", vocab_size: int = 30, **options: object) -> LanguageModel:
    torch.manual_seed(0)
    recipe = LanguageModelRecipe(backend=backend, hidden_size=40, embedding_dim=24, **options)  # type: ignore[arg-type]
    model = LanguageModel(recipe, vocab_size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)  # far from uniform
    return model


def draw(stream: TokenStream, ids: list[int], count: int, sampling: Sampling, **options: int) -> torch.Tensor:
    return stream.draw(torch.tensor(ids), count, torch.Generator().manual_seed(3), sampling, **options)


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(0.0), Sampling(0.7, 5), Sampling(1.3, None, 0.6), Sampling(1.0, 8, 0.9)]
)
@pytest.mark.parametrize("options", [{}, {"cell": "gru", "num_layers": 2}, {"tie_embeddings": True}])
def test_the_core_writes_what_the_model_writes(options: dict[str, object], sampling: Sampling) -> None:
    mine, theirs = TokenStream(make(**options), 2), TokenStream(make("reference", **options), 2)
    assert mine.native
    assert not theirs.native
    assert torch.equal(draw(mine, [4, 9], 40, sampling), draw(theirs, [4, 9], 40, sampling))


def test_a_large_vocabulary_takes_vectors_in_place_of_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    with_table = draw(TokenStream(make()), [4], 30, Sampling())
    monkeypatch.setattr("ostinato.kernels.native_stream._LARGEST_TABLE_BYTES", 0)
    assert torch.equal(draw(TokenStream(make()), [4], 30, Sampling()), with_table)


def test_chunks_and_the_whole_are_the_same_text() -> None:
    generator, stream = torch.Generator().manual_seed(3), TokenStream(make(), 2)
    ids, pieces = torch.tensor([4, 9]), []
    for count in (1, 7, 20, 12):
        pieces.append(stream.draw(ids, count, generator, Sampling()))
        ids = pieces[-1][-1]
    assert torch.equal(torch.cat(pieces), draw(TokenStream(make(), 2), [4, 9], 40, Sampling()))


def test_reading_gives_the_models_scores() -> None:
    model = make()
    ids = torch.randint(3, 30, (6, 2))
    stream = TokenStream(model, 2)
    torch.testing.assert_close(stream.read(ids), model(ids)[0], rtol=1e-4, atol=1e-4)
    other = TokenStream(model, 2)
    other.skip(ids[:4])
    torch.testing.assert_close(other.read(ids[4:]), model(ids)[0][4:], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_rows_end_by_themselves(backend: str) -> None:
    stream = TokenStream(make(backend), 8)
    drawn = draw(stream, [4] * 8, 500, Sampling(), end=7)
    assert len(drawn) < 500
    assert (drawn[-1] == 7).all()
    ended = (drawn == 7).cumsum(0) > 0
    assert (drawn[ended] == 7).all()
    assert (~ended[0]).any()


def test_padding_and_unknown_are_never_drawn() -> None:
    model = make()
    with torch.no_grad():
        model.output.bias[[PAD_ID, UNK_ID]] = 50.0
    for sampling in (Sampling(), Sampling(0.0), Sampling(1.0, 2)):
        drawn = draw(TokenStream(model, 3), [4, 4, 4], 50, sampling)
        assert not torch.isin(drawn, torch.tensor([PAD_ID, UNK_ID])).any()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_scores_that_are_not_numbers_are_an_error(backend: str, temperature: float) -> None:
    model = make(backend)
    with torch.no_grad():
        model.output.weight[5] = float("nan")
    with pytest.raises(RunError, match="the model's scores are not numbers"):
        draw(TokenStream(model), [4], 5, Sampling(temperature))


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    with pytest.raises(ValueError, match="token 30 is outside the vocabulary of 30"):
        TokenStream(make()).read(torch.tensor([[30]]))
