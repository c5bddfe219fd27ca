"""Models that go on learning from the text they read: the cache, dynamic evaluation, and what they leave as it was."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.conftest import Cli

from ostinato.errors import RecipeError, RunError
from ostinato.heads.sampling import Sampling
from ostinato.recipe import BpttRecipe
from ostinato.tasks.adaptation import Adaptation
from ostinato.tasks.language_model.adaptive import DynamicEvaluation, NeuralCache, adapting
from ostinato.tasks.language_model.evaluation import window_nll
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.tasks.language_model.stream import TokenStream

VOCAB, CPU = 12, torch.device("cpu")
OLD_RUNS = Path(__file__).parents[2] / "fixtures/old_runs"
TEXT = np.random.default_rng(0).integers(3, VOCAB, 70).astype(np.int32)


def _model(**options: Any) -> LanguageModel:
    torch.manual_seed(0)
    model = LanguageModel(LanguageModelRecipe(hidden_size=6, embedding_dim=5, **options), VOCAB)
    if model.ngrams is not None:
        model.ngrams.fit(TEXT)
    return model


def _nll(model: LanguageModel, text: np.ndarray, begins: list[int] | None = None, reset: int = 0) -> float:
    features: Any = SimpleNamespace(begins=lambda _: None if begins is None else np.asarray(begins))
    bptt = BpttRecipe(window=reset, carry_state=False) if reset else None
    return sum(nll for nll, _ in window_nll(model, text, features, CPU, bptt))


def _naive(logits: torch.Tensor, hidden: torch.Tensor, tokens: list[int], how: Adaptation) -> list[list[float]]:
    """p after each token, by loops over all pairs of places."""
    found = []
    for t in range(len(tokens)):
        p = logits[t].softmax(0).tolist()
        pairs = [(i, tokens[i + 1]) for i in range(t)][-how.cache :]
        if pairs:
            weights = [math.exp(how.cache_theta * float(hidden[t] @ hidden[i])) for i, _ in pairs]
            p = [(1 - how.cache_lambda) * one for one in p]
            for (_, token), weight in zip(pairs, weights, strict=True):
                p[token] += how.cache_lambda * weight / sum(weights)
        found.append(p)
    return found


@pytest.mark.parametrize("size", [1, 4, 100])
def test_the_cache_is_that_of_loops_over_all_pairs_however_it_is_cut(size: int) -> None:
    torch.manual_seed(0)
    logits, hidden = torch.randn(30, VOCAB).double(), torch.randn(30, 4).double()
    tokens = torch.randint(3, VOCAB, (30,))
    how = Adaptation(cache=size, cache_theta=0.7, cache_lambda=0.2)
    wanted = torch.tensor(_naive(logits, hidden, tokens.tolist(), how)).double()
    for cuts in ([30], [1] * 30, [7, 1, 12, 10]):
        cache = NeuralCache(size, how.cache_theta, how.cache_lambda)
        parts = zip(logits.split(cuts), hidden.split(cuts), tokens.split(cuts), strict=True)
        found = torch.cat([cache.mix(*part) for part in parts])
        torch.testing.assert_close(found.exp(), wanted, rtol=1e-6, atol=1e-9)
    cache = NeuralCache(size, how.cache_theta, how.cache_lambda)
    cache.remember(hidden[:9], tokens[:9])
    cache.remember(hidden[9:20], tokens[9:20])
    torch.testing.assert_close(cache.mix(logits[20:], hidden[20:], tokens[20:]).exp(), wanted[20:])


@pytest.mark.parametrize("options", [{}, {"ngrams": 3}])
def test_a_text_of_documents_is_scored_with_what_came_before(options: dict[str, Any]) -> None:
    model, how = _model(**options).eval(), Adaptation(cache=9, cache_theta=2.0, cache_lambda=0.3)
    begins = [0, 13, 14, 40]
    logits, hidden = [], []
    with torch.no_grad():
        for start, stop in zip(begins, [*begins[1:], len(TEXT)], strict=True):
            ids = torch.from_numpy(TEXT[start:stop].astype(np.int64)).unsqueeze(1)
            logits.append(model(ids)[0][:, 0])
            hidden.append(model.encoder(ids)[0][:, 0])
    p = _naive(torch.cat(logits), torch.cat(hidden), TEXT.tolist(), how)
    wanted = -sum(math.log(p[t][TEXT[t + 1]]) for t in range(len(TEXT) - 1))
    assert _nll(adapting(model, how), TEXT, begins) == pytest.approx(wanted, rel=1e-5)
    assert _nll(model, TEXT, begins) != pytest.approx(wanted, rel=1e-3)


def _followed(model: LanguageModel, rate: float, decay: float) -> float:
    """Dynamic evaluation by hand."""
    weights = list(model.parameters())
    trained, squares = [w.detach().clone() for w in weights], [torch.zeros_like(w) for w in weights]
    ids, states, total = torch.from_numpy(TEXT.astype(np.int64)).unsqueeze(1), None, 0.0
    for number, start in enumerate(range(0, len(TEXT) - 1, DynamicEvaluation.SEGMENT), 1):
        stop = min(start + DynamicEvaluation.SEGMENT, len(TEXT) - 1)
        nll, states = model.nll(ids[start:stop], ids[start + 1 : stop + 1], states)
        states = [tuple(part.detach() for part in state) for state in states]
        gradients = torch.autograd.grad(nll / (stop - start), weights)
        with torch.no_grad():
            for weight, first, square, gradient in zip(weights, trained, squares, gradients, strict=True):
                square.mul_(0.999).add_(0.001 * gradient**2)
                step = gradient / ((square / (1 - 0.999**number)).sqrt() + 1e-8)
                weight.add_(decay * (first - weight) - rate * step)
        total += float(nll.detach())
    return total


@pytest.mark.parametrize("options", [{}, {"tie_embeddings": True, "cell": "gru", "num_layers": 2}])
def test_weights_follow_a_segment_at_a_time_and_the_run_stays_as_it_was(options: dict[str, Any]) -> None:
    model = _model(**options).eval()
    before = {name: part.clone() for name, part in model.state_dict().items()}
    plain, found = _nll(model, TEXT), _nll(adapting(model, Adaptation(dynamic=0.02, dynamic_decay=0.1)), TEXT)
    assert found == pytest.approx(_followed(_model(**options).eval(), 0.02, 0.1), rel=1e-5)
    assert found != pytest.approx(plain, rel=1e-3)
    assert all(torch.equal(part, before[name]) for name, part in model.state_dict().items())
    assert _nll(model, TEXT) == plain
    still = adapting(model, Adaptation())
    still.dynamic = DynamicEvaluation(still, 0.0, 0.5)
    assert _nll(still, TEXT) == pytest.approx(plain, rel=1e-6)


def test_nothing_is_learnt_of_a_token_before_it_was_scored() -> None:
    how = Adaptation(dynamic=0.5, cache=5)
    other = TEXT.copy()
    other[40:] = TEXT[:30]
    features: Any = SimpleNamespace(begins=lambda _: None)
    bptt = BpttRecipe(window=13, carry_state=False)
    first, second = (
        list(window_nll(adapting(_model(ngrams=3), how), text, features, CPU, bptt)) for text in (TEXT, other)
    )
    assert first[:3] == second[:3]  # of the 39 tokens before
    assert first[3] != second[3]


@pytest.mark.parametrize("options", [{}, {"ngrams": 3}, {"backend": "reference"}])
def test_a_text_is_written_with_its_cache(options: dict[str, Any]) -> None:
    how = Adaptation(cache=8, cache_theta=1.0, cache_lambda=0.4)
    ids = torch.from_numpy(TEXT[:20].astype(np.int64)).unsqueeze(1)
    whole = TokenStream(adapting(_model(**options), how)).read(ids)
    stream = TokenStream(adapting(_model(**options), how))
    stream.skip(ids[:9])
    torch.testing.assert_close(stream.read(ids[9:]), whole[9:], rtol=1e-5, atol=1e-5)
    drawn = stream.draw(ids[0, :1], 12, torch.Generator().manual_seed(0), Sampling())
    stream = TokenStream(adapting(_model(**options), how))
    stream.skip(torch.cat([ids, ids[:1], drawn[:-1]])[:-1])
    last = stream.draw(drawn[-2], 1, torch.Generator().manual_seed(0), Sampling(0.0))
    scores = TokenStream(adapting(_model(**options), how)).read(torch.cat([ids, ids[:1], drawn[:-1]]))[-1, 0]
    assert int(last) == int(scores[2:].argmax()) + 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dynamic": -1.0}, "`dynamic` must be a number, 0 or more. Received: -1.0."),
        ({"cache": -3}, "`cache` must be a number of tokens, 0 or more. Received: -3."),
        ({"cache": 5, "cache_lambda": 1.0}, "`cache_lambda` must be in \\(0, 1\\). Received: 1.0."),
        ({"cache_theta": 1.0, "flags": True}, "`--cache-theta` only applies with `--cache`."),
        ({"cache": 5, "dynamic_decay": 0.5}, "`dynamic_decay` only applies with `dynamic`."),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        Adaptation(**options)


def test_a_rate_that_is_too_high_is_said() -> None:
    with pytest.raises(RunError, match="dynamic evaluation at a rate of 1e\\+30 lost its way") as raised:
        _nll(adapting(_model(), Adaptation(dynamic=1e30)), TEXT)
    assert "--dynamic 1e+29" in str(raised.value.hint)


def test_the_commands(tmp_path: Path, cli: Cli) -> None:
    for name in ("language_model_letters", "classifier_text", "data"):
        shutil.copytree(OLD_RUNS / name, tmp_path / name)
    run, text = "language_model_letters", "data/proteins_valid.fasta"
    saved = (tmp_path / run / "model.safetensors").read_bytes()
    found = []
    for options in ((), ("--cache", 50), ("--dynamic", 0.01), ()):
        found.append(json.loads(cli("evaluate", run, text, "--json", *options).out)["bits_per_character"])
        kept = json.loads((tmp_path / run / "evaluation.json").read_text())
        assert [kept[name] for name in ("cache", "dynamic") if name in kept] == list(options[1:])
    assert found[0] == found[3]
    assert len(set(found)) == 3
    prompt = ("generate", run, "--prompt", "MKLLVAWK", "--max-new-tokens", 40, "--seed", 1)
    assert cli(*prompt).out != cli(*prompt, "--dynamic", 0.1, "--cache", 20).out
    assert (tmp_path / run / "model.safetensors").read_bytes() == saved
    short = cli("generate", run, "--dynamic", 1)
    assert "learns from the prompt, which must have at least 2 tokens" in short.err
    refused = cli("evaluate", "classifier_text", "data/texts.csv", "--cache", 5)
    assert refused.code == 1
    assert "`--cache` only applies to a language model: leave it out. Received: a classifier." in refused.err
    refused = cli("generate", "classifier_text", "--dynamic", 5)
    assert "`--dynamic` only applies to a language model" in refused.err
