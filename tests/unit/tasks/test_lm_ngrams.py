"""N-grams that a language model builds on: their distribution, what is left out of it, and where it goes along."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import Cli

from ostinato.kernels import native_layer
from ostinato.layers.ngram_counts import Ngrams
from ostinato.layers.ngrams import NgramDistribution
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.language_model.sampling import generate_chunks
from ostinato.types import Ragged, State

VOCAB, ORDER = 9, 4


@pytest.fixture
def text() -> np.ndarray:
    """300 tokens from 3 on, each likely to follow the one before."""
    draw = np.random.default_rng(0)
    found = [3]
    for _ in range(299):
        found.append(3 + (found[-1] - 3 + int(draw.integers(0, 3))) % 6)
    return np.asarray(found, dtype=np.int32)


def _counted(text: np.ndarray, begins: np.ndarray | None = None) -> NgramDistribution:
    found = NgramDistribution(VOCAB, ORDER)
    found.fit(text, begins)
    return found


def _log_probs(ngrams: NgramDistribution, ids: torch.Tensor, targets: torch.Tensor | None = None) -> torch.Tensor:
    nodes, _ = ngrams.contexts_of(ids, ngrams.zero_state(ids.shape[1]))
    found: torch.Tensor = ngrams(nodes, targets)
    return found


def test_it_is_the_baselines_distribution_and_sums_to_one(text: np.ndarray) -> None:
    other = np.roll(text[:60], 7).astype(np.int64)
    found = _log_probs(_counted(text), torch.from_numpy(other[:-1]).unsqueeze(1))
    wanted = Ngrams.count(text.astype(np.int64), VOCAB, [ORDER], never=0)[ORDER].nll(other)[1:]
    assert torch.allclose(found.exp().sum(1), torch.ones(len(found)), atol=1e-6)
    assert np.allclose(-found.gather(1, torch.from_numpy(other[1:, None])).squeeze(1).numpy(), wanted, atol=1e-5)


def _left_out(text: list[int], at: int, discounts: list[list[float]]) -> float:
    """p of the token at a place, its own occurrence taken out of every count by hand; discounts as they were."""
    grams = {n: Counter(tuple(text[i : i + n]) for i in range(len(text) - n + 1)) for n in range(1, ORDER + 1)}
    for n in range(1, ORDER + 1):
        if at - n + 1 >= 0:
            grams[n][tuple(text[at - n + 1 : at + 1])] -= 1
    counts = {ORDER: {gram: count for gram, count in grams[ORDER].items() if count}}
    for n in range(1, ORDER):
        preceded = Counter(gram[1:] for gram, count in grams[n + 1].items() if count)
        counts[n] = dict(preceded)
    p = 1 / (VOCAB - 1)
    for n in range(1, ORDER + 1):
        context = tuple(text[at - n + 1 : at])
        following = {gram[-1]: count for gram, count in counts[n].items() if gram[:-1] == context}
        total = sum(following.values())
        if total:
            taken = [discounts[n - 1][min(count, 3)] for count in following.values()]
            own = following.get(text[at], 0)
            p = (max(own - discounts[n - 1][min(own, 3)], 0) + sum(taken) * p) / total
    return p


def test_each_target_is_left_out_of_the_counts_behind_its_own_probability(text: np.ndarray) -> None:
    ngrams = _counted(text)
    ids = torch.from_numpy(text.astype(np.int64))
    found = _log_probs(ngrams, ids[:-1].unsqueeze(1), ids[1:]).gather(1, ids[1:, None]).exp().squeeze(1)
    discounts = ngrams.tree.discounts.tolist()
    wanted = [_left_out(text.tolist(), at, discounts) for at in range(ORDER, len(text))]
    assert np.allclose(found[ORDER - 1 :].numpy(), wanted, atol=1e-5)
    known = _log_probs(ngrams, ids[:-1].unsqueeze(1)).gather(1, ids[1:, None]).mean()
    assert known > found.log().mean() + 0.1  # what it would trust, and not have on another text
    whole = _log_probs(ngrams, ids[:-1].unsqueeze(1), ids[1:]).exp().sum(1)
    assert torch.allclose(whole, torch.ones(len(whole)), atol=1e-5)


def test_the_tokens_before_are_a_part_of_the_state(text: np.ndarray) -> None:
    ngrams = _counted(text)
    ids = torch.from_numpy(text[:60].astype(np.int64)).view(3, 20).t()
    whole, after = ngrams.contexts_of(ids, ngrams.zero_state(3))
    first, state = ngrams.contexts_of(ids[:2], ngrams.zero_state(3))
    second, state = ngrams.contexts_of(ids[2:], state)
    assert torch.equal(torch.cat([first, second]), whole)
    assert torch.equal(state, after)
    rows = Ragged.from_padded(ids, torch.tensor([20, 7, 1]), batch_first=False)
    nodes, ends = ngrams.contexts_of(rows, ngrams.zero_state(3))
    padded = whole.view(20, 3, ORDER)
    wanted = torch.cat([padded[:length, row] for row, length in enumerate((20, 7, 1))])
    assert torch.equal(rows.with_values(nodes).row_major(), wanted)
    assert ends[0].tolist() == [[*ids[-3:, 0].tolist()], [*ids[4:7, 1].tolist()], [0, 0, int(ids[0, 2])]]


@pytest.mark.skipif(native_layer.core is None, reason="the native core is not built")
def test_the_native_core_gives_the_same(text: np.ndarray) -> None:
    ngrams = _counted(text, np.asarray([0, 150]))
    ids = torch.from_numpy(np.roll(text, 5).astype(np.int64)).view(6, 50).t()
    targets = ids.roll(-1, 0).flatten()
    native = ngrams.contexts_of(ids, ngrams.zero_state(6))[0]
    found = [ngrams(native), ngrams(native, targets)]
    assert ngrams.tree.native is not None
    ngrams.tree.native = None
    nodes = ngrams.contexts_of(ids, ngrams.zero_state(6))[0]
    assert torch.equal(nodes, native)
    for one, other in zip(found, (ngrams(nodes), ngrams(nodes, targets)), strict=True):
        assert torch.allclose(one.exp(), other.exp(), atol=1e-6)


def test_nothing_is_counted_across_documents() -> None:
    text = np.asarray([3, 4, 5, 6, 7, 8], dtype=np.int32)
    ids = torch.tensor([[4], [5], [6]])
    apart, together = (_counted(text, begins) for begins in (np.asarray([0, 3]), None))
    for ngrams, longest in ((apart, 2), (together, 4)):  # 6 begins a document, and ends the one before
        nodes, _ = ngrams.contexts_of(ids, ngrams.zero_state(1))
        assert (ngrams.tree.totals[nodes[-1]] > 0).sum() == longest
    begun, _ = apart.contexts_of(torch.tensor([[6]]), apart.zero_state(1))
    assert (begun >= 0).all()  # the beginning of a document is a context


@pytest.mark.parametrize("backend", ["reference", "auto"])
def test_a_text_may_begin_after_a_single_token(text: np.ndarray, backend: str) -> None:
    recipe = LanguageModelRecipe(hidden_size=6, embedding_dim=4, ngrams=ORDER, backend=backend)  # type: ignore[arg-type]
    model = LanguageModel(recipe, VOCAB)
    assert model.ngrams is not None
    model.ngrams.fit(text)
    written = np.concatenate(list(generate_chunks(model.eval(), np.asarray([3], dtype=np.int32), max_new_tokens=5)))
    assert len(written) == 5


@pytest.mark.parametrize("combination", ["logits", "mixture"])
def test_a_model_begins_at_its_ngrams_and_scores_whole_as_stepped(text: np.ndarray, combination: str) -> None:
    torch.manual_seed(0)
    recipe = LanguageModelRecipe(hidden_size=6, embedding_dim=4, ngrams=ORDER, ngram_combination=combination)
    model = LanguageModel(recipe, VOCAB)
    assert model.ngrams is not None
    model.ngrams.fit(text)
    model.eval()
    ids = torch.from_numpy(text[:40].astype(np.int64)).view(2, 20).t()
    logits, _ = model(ids)
    counted = model.ngrams(model.ngrams.contexts_of(ids, model.ngrams.zero_state(2))[0]).view(20, 2, VOCAB)
    if combination == "logits":
        assert torch.allclose(logits.log_softmax(2), counted, atol=1e-5)
    else:
        assert torch.allclose(logits.exp().sum(2), torch.ones(20, 2), atol=1e-5)
    states: list[State] | None = None
    steps = []
    for each in ids:
        score, states = model(each.unsqueeze(0), states)
        steps.append(score)
    assert torch.allclose(torch.cat(steps), logits, atol=1e-5)
    with torch.no_grad():
        alone = sum(float(model.nll(ids[:, row : row + 1], ids[:, row : row + 1])[0]) for row in range(2))
        assert float(model.nll(ids, ids)[0]) == pytest.approx(alone, rel=1e-5)


def test_trained_resumed_generated_and_verified(tmp_path: Path, cli: Cli) -> None:
    words = "the cat sat on the mat and the dog sat on the cat while the sun set over the old red barn\n"
    path = tmp_path / "text.txt"
    path.write_text("".join(words[k % 40 :] + words[: k % 40] for k in range(40)))
    options = ["--set", "model.ngrams=4", "--set", "training.baselines_seconds=0", "--set", "training.num_threads=1"]
    options += ["--set", "model.hidden_size=8", "--set", "training.batch_size=4", "--set", "training.bptt=16"]
    runs = [tmp_path / name for name in ("whole", "half")]
    for run, epochs in zip(runs, (4, 2), strict=True):
        assert cli("train", path, "--out", run, *options, "--set", f"training.epochs={epochs}").code == 0
    assert cli("train", "--resume", runs[1], "--set", "training.epochs=4").code == 0
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()
    written = [cli("generate", runs[0], "--prompt", "the cat", "--max-new-tokens", "50", "--seed", "1") for _ in "ab"]
    assert written[0].out == written[1].out
    assert "up to 4 tokens, log-probabilities added" in (runs[0] / "report.html").read_text()
    assert cli("verify", runs[0]).code == 0
    scored = json.loads(cli("evaluate", runs[0], path, "--json").out)
    assert scored["bits_per_character"] < 2
