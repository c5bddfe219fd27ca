"""N-grams that decoders build on: what is counted, where they go along, and what they don't go with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from ostinato.api import resume
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import END_ID
from ostinato.errors import RecipeError
from ostinato.layers.beam_search import beam_search, greedy, sample
from ostinato.layers.ngrams import NgramDistribution
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.recipe import build_recipe
from ostinato.recipe.model import WriterRecipe
from ostinato.recipe.parts import AttentionDecoderRecipe
from ostinato.run import load
from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe
from ostinato.types import Ragged

VOCAB, ORDER = 9, 3
ROWS = [[3, 4, 5], [3, 4, 6, 7], [8], [3, 4, 5], [5, 5, 4]]
TARGETS = Sequences.from_lengths(np.concatenate(ROWS).astype(np.int32), np.asarray([len(row) for row in ROWS]))
RAGGED = Ragged.from_rows(
    torch.from_numpy(TARGETS.values.astype(np.int64)), TARGETS.offsets[:-1].tolist(), TARGETS.lengths.tolist()
)


def _decoder(memory_size: int = 0, *, trained: bool = True, **options: Any) -> TokenDecoder:
    torch.manual_seed(0)
    recipe = SequenceToSequenceRecipe(hidden_size=6, embedding_dim=6, ngrams=ORDER, **options)
    decoder = TokenDecoder(recipe, VOCAB, memory_size=memory_size).eval()
    decoder.count_ngrams(TARGETS)
    if trained:
        with torch.no_grad():
            for weight in decoder.parameters():
                if weight.requires_grad:
                    weight.copy_(torch.randn_like(weight))
    return decoder


@pytest.mark.parametrize("documents", [False, True])
def test_the_end_of_a_row_follows_its_last_tokens_and_no_token_another_row(documents: bool) -> None:
    rows = Sequences.from_lengths(np.tile(TARGETS.values, 8), np.tile(TARGETS.lengths, 8))
    decoder = _decoder(trained=False)
    decoder.count_ngrams(rows)
    ngrams = cast("NgramDistribution", decoder.ngrams)
    if documents:  # as a language model reads them, each closed by `<end>`
        text = np.insert(rows.values, rows.offsets[1:], END_ID)
        ngrams.fit(text, np.flatnonzero(text == END_ID))

    def after(*tokens: int) -> torch.Tensor:
        nodes = ngrams.contexts_of(torch.tensor(tokens).unsqueeze(1), ngrams.zero_state(1))[0]
        found: torch.Tensor = ngrams(nodes).exp()[-1]
        return found

    assert float(after(END_ID, 3, 4, 5)[END_ID]) > 0.9
    assert float(after(END_ID, 8)[END_ID]) > 0.9
    assert float(after(END_ID)[3]) > 0.5
    nodes = ngrams.contexts_of(torch.tensor([[7], [END_ID]]), ngrams.zero_state(1))[0][-1]
    assert float(ngrams.tree.totals[nodes[2]]) == 0  # what ended is no context of the next row


def test_a_decoder_begins_at_its_ngrams_and_leaves_targets_out_in_training_alone() -> None:
    decoder = _decoder(trained=False)
    inputs, wanted = decoder.inputs_and_targets(RAGGED)
    known, held = decoder.known(inputs), decoder.known(inputs, wanted.values)
    assert known is not None
    assert held is not None
    states = decoder.zero_states(len(ROWS))
    outputs = decoder.outputs(inputs, states, None)[0].values
    assert torch.allclose(outputs.log_softmax(1), known, atol=1e-5)
    picked = [-part.gather(1, wanted.values.unsqueeze(1)).mean() for part in (known, held)]
    assert picked[1] > picked[0] + 0.1
    assert decoder.loss(RAGGED, states).item() == pytest.approx(picked[0].item(), rel=1e-4)
    assert decoder.train().loss(RAGGED, states).item() == pytest.approx(picked[1].item(), rel=1e-4)
    assert decoder.nll(RAGGED, states).values.mean().item() == pytest.approx(picked[0].item(), rel=1e-4)


@pytest.mark.parametrize(
    ("memory_size", "options"),
    [
        (0, {}),
        (0, {"ngram_combination": "mixture", "tie_embeddings": True}),
        (4, {"decoder": AttentionDecoderRecipe(attention="luong")}),
        (4, {"decoder": AttentionDecoderRecipe(attention="bahdanau", input_feeding=True)}),
    ],
)
def test_whole_targets_and_single_steps_are_scored_alike(memory_size: int, options: dict[str, Any]) -> None:
    decoder = _decoder(memory_size, **options)
    memory = None
    if memory_size:
        memory = Ragged.from_rows(torch.randn(15, memory_size), list(range(0, 15, 3)), [3] * 5)
    states = [tuple(torch.randn_like(part) for part in state) for state in decoder.zero_states(len(ROWS))]
    with torch.no_grad():
        whole = [row.sum().item() for row in decoder.nll(RAGGED, states, memory).split_rows()]
        start = decoder.begin(states, memory)
        for row, tokens in enumerate(ROWS):
            here = replace(start.select(torch.tensor([row])), memory=None)
            if start.memory is not None:
                here = replace(here, memory=start.memory.select(torch.tensor([row])))
            writing, total = here.spread(2).select(torch.tensor([1, 0])), 0.0
            for last, token in zip([END_ID, *tokens], [*tokens, END_ID], strict=True):
                scores, writing = decoder.step(torch.tensor([last, last]), writing)
                total -= float(scores.log_softmax(1)[1, token])
            assert total == pytest.approx(whole[row], rel=1e-4)


def test_what_is_written_has_the_probability_that_it_is_scored_with() -> None:
    decoder = _decoder()
    states = [tuple(torch.randn_like(part) for part in state) for state in decoder.zero_states(4)]
    found = beam_search(decoder, decoder.begin(states), beam_size=3, max_new_tokens=6)
    for row, sequences in enumerate(found):
        for one in sequences:
            ids = Ragged.from_rows(torch.tensor(one.ids, dtype=torch.long), [0], [len(one.ids)])
            own = [tuple(part[:, row : row + 1] for part in state) for state in states]
            with torch.no_grad():
                assert -one.log_probability == pytest.approx(float(decoder.nll(ids, own).values.sum()), rel=1e-3)
    best = beam_search(decoder, decoder.begin(states), beam_size=1, max_new_tokens=6)
    assert [row[0].ids for row in best] == [
        tuple(ids) for ids in greedy(decoder, decoder.begin(states), max_new_tokens=6)
    ]
    drawn = [sample(decoder, decoder.begin(states), max_new_tokens=6, seed=3) for _ in "ab"]
    assert drawn[0] == drawn[1]


def test_what_ngrams_do_not_go_with() -> None:
    with pytest.raises(ValueError, match="scheduled_sampling` does not go with `model"):
        WriterRecipe.model_validate({"ngrams": 3, "decoder": {"scheduled_sampling": 0.2}})


def _recipe(task: str, folder: Path) -> dict[str, Any]:
    given = [f"{'abc'[i % 3]}{'xyz'[i % 2]}" for i in range(24)]
    rows = [f"{one},{one[0] * 3}{one[1]}" for one in given]
    (folder / "pairs.csv").write_text("\n".join(["source,target", *rows]))
    kind = {"kind": "category"} if task == "conditional" else {"kind": "text", "unit": "characters"}
    return {
        "data": {"train": str(folder / "pairs.csv"), "input": "source", "target": "target", "validation": 0.25},
        "features": {"input": kind, "target": {"kind": "text", "unit": "characters"}},
        "model": {"task": task, "hidden_size": 5, "embedding_dim": 4, "ngrams": 3},
        "training": {"epochs": 2, "batch_size": 6, "num_threads": 1},
    }


@pytest.mark.parametrize("task", ["seq2seq", "conditional"])
def test_runs_are_trained_resumed_and_opened_with_their_counts(tmp_path: Path, task: str) -> None:
    recipe = build_recipe(_recipe(task, tmp_path))
    train_recipe(recipe, tmp_path / "whole", Observer())
    half = recipe.model_copy(update={"training": recipe.training.model_copy(update={"epochs": 1})})
    train_recipe(half, tmp_path / "half", Observer())
    resume(tmp_path / "half", {"training.epochs": 2}, Observer())
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "half")]
    assert weights[0] == weights[1]
    run = load(tmp_path / "whole")
    assert run.model.decoder.ngrams.keys.numel() > 10
    assert len(run.predict(["ax"])[0].candidates) > 1
    assert run.verify().passed


def test_frames_have_none(tmp_path: Path) -> None:
    (tmp_path / "curves.jsonl").write_text('{"x": "a", "y": [1.0, 2.0]}\n{"x": "b", "y": [2.0, 1.0, 3.0]}\n' * 8)
    data = {"train": str(tmp_path / "curves.jsonl"), "input": "x", "target": "y"}
    features = {"target": {"kind": "series"}}
    recipe = {"data": data, "features": features, "model": {"task": "seq2seq", "ngrams": 3}}
    with pytest.raises(RecipeError, match="ngrams` only applies with a text, or letters as ids, as input, or tokens"):
        train_recipe(build_recipe(recipe), tmp_path / "run", Observer())
