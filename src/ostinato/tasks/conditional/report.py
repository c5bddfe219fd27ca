"""The report's results of a model that writes a sequence for one value: error rates or samples, pictures, mistakes."""

from __future__ import annotations

from collections import Counter
from typing import cast

import numpy as np
import torch

from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features, Prepared
from ostinato.data.features import Feature
from ostinato.data.sequences import Sequences
from ostinato.layers.beam_search import sample
from ostinato.metrics.resampling import with_intervals
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section
from ostinato.report.images import picture
from ostinato.report.page import limits
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.given import has_one_answer, rows_by_given, with_others_given
from ostinato.tasks.transcripts import (
    Transcript,
    mean_nll,
    nll_of_rows,
    readable,
    reference_of,
    scores_of,
    text_of,
    transcribe,
)

_EXAMPLES = 12
_WORST = 24
_CONDITIONS = 24
_SAMPLES = 8
_MIXUPS = 16


def conditional_results(model: Conditional, prepared: Prepared, device: torch.device) -> Section:
    """Written and true sequences of the validation data where one is right; otherwise samples by condition."""
    features, recipe = prepared.features, prepared.recipe
    examples, target = prepared.validation, features.sequence_target
    given = ", ".join((str(recipe.data.input), *features.extra))
    loss = mean_nll(model, examples, device)
    shuffled = mean_nll(model, with_others_given(examples), device)
    found: Section = {
        "template": "conditional.html.jinja",
        "sentence": f"Writes `{recipe.data.target}`, {target.step_noun} by {target.step_noun}, for a given `{given}`.",
        "noun": target.step_noun,
        "given": given,
        "count": len(examples),
        "metrics": {"loss": loss, "perplexity": float(np.exp(loss))},
        "shuffled": {"loss": shuffled, "perplexity": float(np.exp(shuffled))},
        "beam": {"size": model.tokens.beam_size, "penalty": model.options.length_penalty},
    }
    if has_one_answer(examples):
        return {**found, **_answers(model, examples, features, device, target)}
    perplexity = ("perplexity", f"{np.exp(loss):.2f}", f"per {target.step_noun}, given the condition")
    without = (
        "with another's condition",
        f"{np.exp(shuffled):.2f}",
        "the same figure where rows get another row's condition",
    )
    return {
        **found,
        "tiles": [perplexity, without],
        "conditions": _conditions(model, prepared, examples, device),
    }


def _answers(
    model: Conditional, examples: Examples, features: Features, device: torch.device, target: Feature
) -> Section:
    """Where there is one reference: how often it is written, and where it is not."""
    found = transcribe(model, examples, target, device, model.tokens.beam_size, pooled=False)
    scored = with_intervals(scores_of(found, features))
    wrong = sorted((one for one in found if one.distance), key=lambda one: one.sequences[0].score, reverse=True)
    spread = np.linspace(0, len(found) - 1, min(_EXAMPLES, len(found))).astype(int).tolist()
    mixups = Counter((one.nearest, text_of(one.written, target)) for one in wrong)
    noun, count = target.step_noun, len(found)
    sure = [limits(scored, key, "percent", 2) for key in ("exact", "token_error_rate")]
    return {
        "scored": scored,
        "tiles": [
            ("exact", f"{100 * scored['exact']:.2f} %", f"of {count:,} sequences, every {noun} right", sure[0]),
            (
                f"{noun} error rate",
                f"{100 * scored['token_error_rate']:.2f} %",
                f"{scored['num_tokens']:,} {noun}s",
                sure[1],
            ),
        ],
        "examples": [_shown(found[i], examples, features, target) for i in spread],
        "num_wrong": len(wrong),
        "worst": [_shown(one, examples, features, target) for one in wrong[:_WORST]],
        "mixups": [
            {"right": right, "written": written, "count": times}
            for (right, written), times in mixups.most_common(_MIXUPS)
        ],
    }


def _shown(one: Transcript, examples: Examples, features: Features, target: Feature) -> Section:
    """A row as it was given, what is right, and what was written, with how sure the model was of it."""
    return {
        "location": examples.location(one.row),
        "given": _given(examples, one.row, features),
        "right": one.nearest,
        "written": readable(one.written, target),
        "probability": float(np.exp(one.sequences[0].log_probability)),
        "distance": one.distance,
    }


def _given(examples: Examples, row: int, features: Features) -> list[Section]:
    """What a row was given: a picture, or how its cells read."""
    columns: list[tuple[Feature, Sequences | None]] = [(features.input, examples.sequences)]
    columns += [(feature, examples.extra[name]) for name, feature in features.extra.items()]
    found: list[Section] = []
    for feature, sequences in columns:
        values = cast("Sequences", sequences).row(row)
        if feature.form == "pictures" and not feature.ragged:
            found.append({"picture": picture(values[0])})
        elif sequences is examples.sequences:
            found.append({"text": examples.preview(row)})
        else:
            found.append({"text": str(feature.decode(values))})
    return found


def _conditions(model: Conditional, prepared: Prepared, examples: Examples, device: torch.device) -> list[Section]:
    """For each of the most frequent values: how well it is modelled, and sequences drawn for it."""
    train, target = prepared.train, prepared.features.sequence_target
    rows_of = rows_by_given(examples)
    trained = Counter(train.given(row) for row in range(len(train)))
    known = {reference_of(train, row, target) for row in range(len(train))}
    totals, counts = nll_of_rows(model, examples, device)
    chosen = sorted(rows_of, key=lambda one: -trained[one])[:_CONDITIONS]
    shown: list[Section] = []
    for number, condition in enumerate(chosen):
        rows = np.asarray(rows_of[condition])
        texts = _samples(model, examples, int(rows[0]), target, device, number)
        shown.append(
            {
                "given": _given(examples, int(rows[0]), prepared.features),
                "trained": trained[condition],
                "count": len(rows),
                "perplexity": float(np.exp(totals[rows].sum() / counts[rows].sum())),
                "samples": [{"text": text, "known": text in known} for text in texts],
                "real": [reference_of(examples, int(row), target) for row in rows[: _SAMPLES // 2]],
            }
        )
    return shown


def _samples(
    model: Conditional, examples: Examples, row: int, target: Feature, device: torch.device, seed: int
) -> list[str]:
    """Sequences drawn for what a row is given."""
    with evaluating(model), torch.inference_mode():
        batch = BucketedBatches(examples, 1).batch(np.asarray([row])).to(device)
        start = model.begin(batch.inputs, batch.extra).spread(_SAMPLES)
        found = sample(model.tokens, start, max_new_tokens=model.options.longest, seed=seed)
    return [readable(ids, target) for ids in found]
