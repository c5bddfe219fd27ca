"""The report's results of a model that writes sequences: error rates, by length, examples, attention, mix-ups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch

from ostinato.arrays import Floats
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.features import TextFeature
from ostinato.data.vocabulary import END_ID
from ostinato.layers.teacher_forcing import shifted
from ostinato.metrics.resampling import with_intervals
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section, shown_token
from ostinato.report.edits import mixups_of, shown_step
from ostinato.report.exhibits import exhibit
from ostinato.report.page import limits
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.transcripts import Transcript, mean_nll, readable, scores_of, transcribe
from ostinato.types import Ragged

_EXAMPLES = 12
_WORST = 12
_MAPS = 3
_LONGEST_MAP = 24


def transcription_results(model: Seq2Seq, prepared: Prepared, device: torch.device) -> Section:
    """What beam search writes for all of the validation data, next to what is right."""
    from ostinato.report import plots

    features, recipe = prepared.features, prepared.recipe
    target = features.sequence_target
    examples = prepared.validation
    found = transcribe(model, examples, target, device, model.tokens.beam_size)
    scored = with_intervals({"loss": mean_nll(model, examples, device), **scores_of(found, features)})
    noun = target.step_noun
    rows = [_shown(one, examples, features) for one in found]
    worst = sorted(
        range(len(found)), key=lambda i: (-found[i].distance / max(len(found[i].right), 1), -found[i].distance, i)
    )
    spread = np.linspace(0, len(found) - 1, min(_EXAMPLES, len(found))).astype(int).tolist()
    return {
        "template": "transcription.html.jinja",
        "sentence": f"Writes `{recipe.data.target}`, {noun} by {noun}, from `{recipe.data.input}`.",
        "tiles": _tiles(scored, features, len(found)),
        "metrics": scored,
        "noun": noun,
        "beam": {"size": model.tokens.beam_size, "penalty": model.options.length_penalty},
        "num_pooled": len(examples) - len(found),
        "by_length": plots.error_by_length(*_by_length(found), noun) if found else None,
        "examples": [rows[i] for i in spread],
        "mixups": mixups_of([(one.right, one.said) for one in found], target),
        "num_wrong": sum(one.distance > 0 for one in found),
        "worst": [rows[i] for i in worst[:_WORST] if found[i].distance],
        "maps": _maps(model, [found[i] for i in spread], prepared, device),
    }


def _tiles(scored: Section, features: Features, count: int) -> list[tuple[str, ...]]:
    """The headline figures: BLEU first where words are written from words, errors where a text is spelled out."""
    noun = features.sequence_target.step_noun
    spread = [limits(scored, key, "percent", 2) for key in ("token_error_rate", "sequence_error_rate")]
    tiles: list[tuple[str, ...]] = [
        (
            "token error rate",
            f"{100 * scored['token_error_rate']:.2f} %",
            f"{scored['num_tokens']:,} {noun}s",
            spread[0],
        ),
        (
            "wrong sequences",
            f"{100 * scored['sequence_error_rate']:.2f} %",
            f"of {count:,} different sources",
            spread[1],
        ),
    ]
    if "bleu" not in scored or features.input.step_noun == "character":
        return tiles
    return [("BLEU", f"{scored['bleu']:.2f}", "sacrebleu, 13a, cased as the data are read"), *tiles]


def _shown(one: Transcript, examples: Examples, features: Features) -> Section:
    """A source, what is right, and what was written with its edits marked."""
    return {
        "location": examples.location(one.row),
        "source": examples.preview(one.row),
        "exhibit": exhibit(features.input, examples, one.row),
        "right": one.nearest,
        "others": [other for other in one.references if other != one.nearest],
        "written": readable(one.written, features.sequence_target),
        "distance": one.distance,
    }


def _by_length(found: Sequence[Transcript]) -> tuple[Floats, Floats, Floats]:
    """Length of the reference, the token error rate there, and how many there are; long ones in tens."""
    lengths = np.asarray([len(one.right) for one in found])
    wide = max(1, int(np.quantile(lengths, 0.98)) // 15)
    groups = (lengths - 1).clip(min=0) // wide
    kept = [g for g in np.unique(groups).tolist() if (groups == g).sum() >= 3] or np.unique(groups).tolist()
    distances = np.asarray([one.distance for one in found])
    at = [float(lengths[groups == g].mean()) for g in kept]
    rates = [float(distances[groups == g].sum() / max(lengths[groups == g].sum(), 1)) for g in kept]
    counts = [float((groups == g).sum()) for g in kept]
    return np.asarray(at), np.asarray(rates), np.asarray(counts)


def _maps(model: Seq2Seq, found: Sequence[Transcript], prepared: Prepared, device: torch.device) -> list[Section]:
    """Where the model looked while it wrote some sequences: a table of weights, a column a step of the source."""
    source = prepared.features.input
    if model.tokens.attention is None or not isinstance(source, TextFeature):
        return []
    examples, target = prepared.validation, prepared.features.sequence_target
    maps: list[Section] = []
    for one in found:
        ids = examples.sequences.row(one.row)
        if len(maps) < _MAPS and 2 < len(ids) <= _LONGEST_MAP and 1 < len(one.written) < _LONGEST_MAP:
            weights = attention_of(model, examples, one.row, one.written, device)
            names = [shown_step(number, target) for number in (*one.written, END_ID)]
            maps.append(
                {
                    "columns": [shown_token(source, int(number)) for number in ids],
                    "rows": [{"name": n, "cells": row} for n, row in zip(names, weights.tolist(), strict=True)],
                }
            )
    return maps


def attention_of(model: Seq2Seq, examples: Examples, row: int, written: Sequence[int], device: torch.device) -> Floats:
    """(T + 1, S): the weights of the steps of a row's source at each token written, and at the closing `<end>`."""
    with evaluating(model), torch.inference_mode():
        batch = BucketedBatches(examples, 1).batch(np.asarray([row])).to(device)
        ids = Ragged.from_rows(torch.tensor(list(written), device=device), [0], [len(written)])
        start = model.begin(batch.inputs, batch.extra)
        weights = model.decoder.outputs(shifted(ids)[0], start.layers, start.memory, start.fed)[1]
    return cast("Floats", cast("torch.Tensor", weights)[0].float().cpu().numpy())
