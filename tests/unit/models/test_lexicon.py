"""Translations that a decoder builds on: what is counted, and that whole targets, steps and beams know it alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

import ostinato
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.layers import lexicon as module
from ostinato.layers.beam_search import beam_search
from ostinato.layers.lexicon import Lexicon, translations
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.nn.attention import Source
from ostinato.recipe.parts import AttentionDecoderRecipe
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.training.progress import Observer
from ostinato.types import Ragged

VOCAB = 9
SOURCES = [[3, 4], [4, 5], [3, 5], [3, 4, 5], []]
TARGETS = [[7, 6], [6, 8, 8], [8, 7, 8], [8, 6, 8, 7], [6]]
"""3 is 7, 4 is 6, 5 is 8 and 8; in any order."""


def _sequences(rows: list[list[int]]) -> Sequences:
    return Sequences.from_lengths(np.concatenate(rows).astype(np.int32), np.asarray([len(row) for row in rows]))


def _decoder(**options: Any) -> TokenDecoder:
    torch.manual_seed(0)
    recipe = SequenceToSequenceRecipe(
        hidden_size=6, embedding_dim=6, decoder=AttentionDecoderRecipe(lexicon=2), **options
    )
    decoder = TokenDecoder(recipe, VOCAB, memory_size=4).eval()
    decoder.count_ngrams(_sequences(TARGETS))
    decoder.count_translations(_sequences(SOURCES), _sequences(TARGETS), 6)
    with torch.no_grad():
        for weight in decoder.parameters():
            if weight.requires_grad:
                weight.copy_(torch.randn_like(weight))
    return decoder


def _source() -> Ragged:
    ids = Ragged.from_rows(torch.tensor([3, 4, 5, 5, 4]), [0, 2], [2, 3])
    layout = (ids.batch_sizes, ids.sorted_indices, ids.unsorted_indices, ids.lengths)
    return Source(torch.randn(5, 4), *layout, ids=ids.values)


def test_words_are_aligned_across_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens, chances = translations(_sequences(SOURCES), _sequences(TARGETS), 6, VOCAB, 2)
    assert tokens[[3, 4, 5], 0].tolist() == [7, 6, 8]
    assert (chances[[3, 4, 5], 0] > 0.7).all()
    assert (chances.sum(axis=1) <= 1 + 1e-6).all()
    assert chances[:3].sum() == 0  # never read
    monkeypatch.setattr(module, "_MOST_PAIRS", 10)  # 30 pairs: every third row is counted
    few, _ = translations(_sequences(SOURCES), _sequences(TARGETS), 6, VOCAB, 2)
    assert set(few[chances[:, 0] > 0].ravel().tolist()) < {0, 6, 7, 8}


def test_the_probability_is_that_of_what_is_looked_at() -> None:
    lexicon = Lexicon(VOCAB, 2)
    lexicon.fit(_sequences(SOURCES), _sequences(TARGETS), 6)
    weights = torch.tensor([[1.0, 0.0], [0.25, 0.75]], requires_grad=True)
    found = lexicon(weights, torch.tensor([[3, 4], [3, 5]])).exp()
    assert found[0].argmax() == 7
    assert found[1].argmax() == 8
    known = [float(lexicon.chances[token][lexicon.tokens[token] == 7].sum()) for token in (3, 5)]
    assert float(found[1, 7].detach()) == pytest.approx(0.25 * known[0] + 0.75 * known[1] + 1e-3)
    found[1, 8].backward()
    assert weights.grad is not None
    assert float(weights.grad[1, 1]) > 0  # where to look is learnt through it


@pytest.mark.parametrize("options", [{}, {"ngrams": 3}, {"ngrams": 2, "tie_embeddings": True}])
def test_whole_targets_steps_and_beams_are_scored_alike(options: dict[str, Any]) -> None:
    decoder = _decoder(**options)
    source, rows = _source(), [[7, 6], [8, 8, 6]]
    states = [tuple(torch.randn(part.shape) for part in state) for state in decoder.zero_states(2)]
    targets = Ragged.from_rows(torch.tensor([7, 6, 8, 8, 6]), [0, 2], [2, 3])
    with torch.no_grad():
        whole = [float(row.sum()) for row in decoder.nll(targets, states, source).split_rows()]
        blind = [float(row.sum()) for row in decoder.nll(targets, states, Ragged(*_parts(source))).split_rows()]
        for row, tokens in enumerate(rows):
            writing, total = decoder.begin(states, source).spread(2), 0.0
            for last, token in zip([END_ID, *tokens], [*tokens, END_ID], strict=True):
                scores, writing = decoder.step(torch.full((4,), last), writing)
                total -= float(scores.log_softmax(1)[2 * row + 1, token])
            assert total == pytest.approx(whole[row], rel=1e-4)
        assert abs(whole[0] - blind[0]) > 0.1
        for row, sequences in enumerate(beam_search(decoder, decoder.begin(states, source), beam_size=3)):
            ids = Ragged.from_rows(torch.tensor(sequences[0].ids, dtype=torch.long), [0], [len(sequences[0].ids)])
            one = decoder.begin(states, source)
            own = [tuple(part[:, row : row + 1] for part in state) for state in states]
            memory = cast("Any", one.memory).select(torch.tensor([row]))
            inputs, wanted = decoder.inputs_and_targets(ids)
            scores = decoder.outputs(inputs, own, memory)[0].values
            nll = float(decoder.head.nll(scores, wanted.values).sum())
            assert -sequences[0].log_probability == pytest.approx(nll, rel=1e-3)


def _parts(source: Ragged) -> tuple[torch.Tensor, ...]:
    return source.values, source.batch_sizes, source.sorted_indices, source.unsorted_indices, source.lengths


def _train(folder: Path, rows: list[str], **settings: Any) -> Any:
    (folder / "pairs.csv").write_text("\n".join(["x,y", *rows]))
    wanted = {
        "model.task": "seq2seq",
        "features.target": {"kind": "text", "unit": "words"},
        "features.input.unit": "words",
        "training.epochs": 1,
        "training.num_threads": 1,
        "model.hidden_size": 5,
        **settings,
    }
    return ostinato.train(
        folder / "pairs.csv", input="x", target="y", settings=wanted, out=folder / "run", observer=Observer()
    )


def test_runs_are_opened_and_verified_with_their_translations(tmp_path: Path) -> None:
    rows = ["red dog,hund rot", "red cat,katze rot", "old dog,hund alt", "old cat,katze alt"] * 6
    run = _train(tmp_path, rows, **{"model.decoder.lexicon": 3, "model.bidirectional": True})
    assert run.model.decoder.lexicon.tokens.shape[1] == 3
    assert run.verify().passed
    parts = {name: about for name, about, _ in run.spec.parts(run.model, run.recipe, run.features)}
    assert "3 translations of each source token" in parts["decoder"]


def test_what_translations_do_not_go_with(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`lexicon` only applies with attention without `input_feeding`"):
        AttentionDecoderRecipe(lexicon=3, input_feeding=True)
    rows = ['"[1.0, 2.0]",a b', '"[2.0, 1.0, 3.0]",b a'] * 12
    series = {"features.input": {"kind": "series"}, "model.decoder.lexicon": 3}
    with pytest.raises(RecipeError, match="lexicon` only applies with tokens to read and tokens to write"):
        _train(tmp_path, rows, **series)
