"""The report's results of a language model: metrics, samples, and its predictions along a passage."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch

from ostinato.arrays import Ids
from ostinato.data.dataset import Features, Prepared
from ostinato.data.features import TextFeature
from ostinato.data.vocabulary import END_ID
from ostinato.metrics.resampling import with_intervals
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section, detokenised, shown_token, token_counts, visible
from ostinato.tasks.language_model.evaluation import evaluate_stream
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.sampling import encode_prompt, generate_chunks
from ostinato.tasks.language_model.stood import words_that_stood

_TEMPERATURES = (0.5, 0.8, 1.0)
_SAMPLE_TOKENS = {"characters": 400, "words": 80, "subwords": 120}
_PASSAGE_TOKENS = {"characters": 160, "words": 60, "subwords": 60}
_CONTEXT_TOKENS = 512
_LIKELIEST = 4
_SEARCHED_TOKENS = 2000
_MOST_DOCUMENTS = 6
Stood = Callable[[int, int], "list[str] | None"]


def language_results(
    model: LanguageModel, prepared: Prepared, device: torch.device, known: Section | None = None
) -> Section:
    """Metrics on the validation text, samples, and a passage with the model's expectations.

    Args:
        known: the metrics, if they were computed before.
    """
    features, validation = prepared.features, prepared.validation.sequences.values
    bptt = prepared.recipe.training.bptt
    scored = known or with_intervals(evaluate_stream(model, validation, features, device, bptt))
    state_reset_interval = None if bptt is None else bptt.state_reset_interval
    unit = (features.text.recipe.unit or "characters").removesuffix("s")
    bits = scored["nats_per_token"] / math.log(2)
    with evaluating(model):
        results: Section = {
            "target_kind": None,
            "unit": unit,
            "documents": features.documents,
            "metrics": scored,
            "bits": bits,
            "guess_bits": unigram_bits(prepared.train.sequences.values, validation, features.text.vocab_size),
            "samples": [
                {"temperature": t, "texts": _sample(model, features, t, 100 * i + 1, state_reset_interval)}
                for i, t in enumerate(_TEMPERATURES)
            ],
            "passage": passage(model, validation, features, device, partial(words_that_stood, prepared)),
        }
    return results


def unigram_bits(train: Ids, validation: Ids, size: int) -> float:
    """Bits a token of a guess that knows only how frequent each token is (counts plus one)."""
    counts = token_counts(train, size) + 1
    nll = -np.log(counts / counts.sum())
    return float((token_counts(validation, size) * nll).sum() / len(validation) / math.log(2))


def passage(
    model: LanguageModel, values: Ids, features: Features, device: torch.device, stood: Stood | None = None
) -> Section:
    """Some tokens of a text, each with the probability the model gave it and what it held likeliest there.

    The model reads up to 512 tokens before the passage, so that its state is that of a reader in mid-text. `stood`
    gives the words at a place and so many after it as in the data, where some are unknown.
    """
    from ostinato.report import plots

    feature = features.text
    wanted = _PASSAGE_TOKENS[feature.recipe.unit or "characters"]
    start = _passage_start(values, features, wanted)
    begin = max(0, start - _CONTEXT_TOKENS)
    ids = torch.from_numpy(values[begin : start + wanted].astype(np.int64)).to(device).unsqueeze(1)  # (L, 1)
    split = start - begin - 1
    with torch.inference_mode():
        states = model(ids[:split], None)[1] if split else None
        logits, _ = model(ids[split:-1], states)
        probabilities = logits[:, 0].float().softmax(dim=-1)  # (L, V)
        top = probabilities.topk(min(_LIKELIEST, probabilities.shape[1]), dim=-1)
        given = probabilities.gather(1, ids[split + 1 :]).squeeze(1).clamp_min(1e-30).cpu().numpy()
    read = zip(ids[split + 1 :, 0].tolist(), given.tolist(), top.values.tolist(), top.indices.tolist(), strict=True)
    columns = [_column(feature, *position) for position in read]
    words = iter((stood(start, wanted) if stood else None) or ())
    for column, token in zip(columns, values[start : start + wanted], strict=True):
        if token != END_ID and (word := next(words, None)) is not None:
            column["token"] = visible(word)
    bits = -np.log2(given.astype(np.float64))
    unit = (feature.recipe.unit or "characters").removesuffix("s")
    return {
        "columns": columns,
        "first_right": float(np.mean([c["likeliest"][0]["hit"] for c in columns])),
        "plot": plots.bits(bits, unit, float(bits.mean())),
    }


def _column(
    feature: TextFeature, token: int, probability: float, likeliest_p: list[float], likeliest: list[int]
) -> Section:
    """One position: the token, its probability, and the likeliest tokens there with theirs."""
    guesses = zip(likeliest, likeliest_p, strict=True)
    return {
        "token": shown_token(feature, token),
        "probability": probability,
        "likeliest": [{"token": shown_token(feature, i), "probability": p, "hit": i == token} for i, p in guesses],
    }


def _passage_start(values: Ids, features: Features, wanted: int) -> int:
    """A third into the text, moved on to the start of a document, paragraph or line if one is near; at least 1."""
    start = max(1, min(len(values) // 3, len(values) - wanted))
    tokens = features.text.vocabulary.tokens
    newline = tokens.index("\n") if "\n" in tokens else END_ID
    window: Any = values[start - 1 : start + _SEARCHED_TOKENS]
    line, document = window == newline, window == END_ID
    paragraph = line & np.concatenate([[False], line[:-1]])
    for ends in (document | paragraph, line):
        for moved in (start + np.flatnonzero(ends)).tolist():
            if moved + wanted <= len(values) and values[moved] not in (newline, END_ID):
                return int(moved)
    return start


def _sample(
    model: LanguageModel, features: Features, temperature: float, seed: int, state_reset_interval: int | None
) -> list[str]:
    """About 400 characters: one text, or as many documents as that takes."""
    left = _SAMPLE_TOKENS[features.text.recipe.unit or "characters"]
    start = encode_prompt(features, "")
    texts: list[str] = []
    while left > 0 and len(texts) < _MOST_DOCUMENTS:
        drawn = generate_chunks(
            model,
            start,
            max_new_tokens=left,
            temperature=temperature,
            seed=seed + len(texts),
            state_reset_interval=state_reset_interval,
        )
        ids = np.concatenate(list(drawn)).astype(np.int32)
        left -= len(ids)
        text = features.text.decode(ids)
        texts.append(detokenised(text) if features.text.recipe.unit == "words" else text)
    return texts
