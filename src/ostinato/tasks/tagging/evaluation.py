"""Evaluating, predicting and reporting of taggers: an output for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.arrays import Integers, Mask
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.data.features import TagsFeature, TextFeature, TokensFeature
from ostinato.data.features.tags import IGNORED
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import UNK_ID
from ostinato.heads.classes import Softmax
from ostinato.metrics.classification import Metrics, by_class, mean_f1
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, Sums, Units, ratio
from ostinato.nn.modes import evaluating
from ostinato.tasks.tagging.entity_spans import are_span_tags, span_scores
from ostinato.tasks.tagging.model import Tagger

_ROWS = 64


@dataclass(frozen=True)
class Tagged:
    """What a tagger says of all examples, in their order.

    answers: of each row, (L,) tags, (L, C) notes or numbers, or (ctc) labels; sureness: (L,) the probability of each
    tag where the output is a softmax; loss: nats a step (ctc: a label), or squared error; none without targets.
    """

    answers: list[NDArray[Any]]
    sureness: list[NDArray[np.float32]] | None
    losses: NDArray[np.float64] | None
    """(N, 2): the loss of each row, and its steps."""

    @property
    def loss(self) -> float | None:
        """The mean over steps."""
        if self.losses is None:
            return None
        total, steps = self.losses.sum(axis=0)
        return float(total / max(steps, 1))


def evaluate(model: Tagger, examples: Examples, features: Features, device: torch.device) -> Metrics:
    """Loss and metrics on examples: see `tag_metrics` and `metrics.steps`."""
    found = run(model, examples, device)
    losses = cast("NDArray[np.float64]", found.losses)
    metrics = metrics_of(model, found, examples, features)
    of_rows = Sums(Units.rows(len(losses)).sums(losses), {"loss": ratio(0, 1)})
    return {"loss": cast("float", found.loss), **metrics, SUMS: metrics[SUMS].beside(of_rows)}


def metrics_of(model: Tagger, found: Tagged, examples: Examples, features: Features) -> Metrics:
    """The metrics of answers, by what they are."""
    targets, feature = examples.target_sequences, features.sequence_target
    if model.recipe.output == "ctc":
        return model.head.metrics(found.answers, _rows(targets))
    if model.kind != "tags":
        units = Units.rows(len(targets)).steps(targets.lengths)
        return model.head.metrics(np.concatenate(found.answers), targets.values, units)
    return tag_metrics(found.answers, targets, cast("TagsFeature", feature), unknown_steps(examples, features))


def predict(model: Tagger, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """For each row a tag a step (and how sure it is of each, in `details`), or labels, notes or numbers."""
    target = features.sequence_target
    found = run(model, examples, device)
    predictions = []
    for row, answers in enumerate(found.answers):
        decoded = target.decode(answers)
        if isinstance(target, TextFeature):
            predictions.append(Prediction(text=decoded))
            continue
        if model.kind != "tags":
            predictions.append(Prediction(values=tuple(decoded)))
            continue
        sure = None if found.sureness is None else {"probabilities": found.sureness[row].tolist()}
        predictions.append(Prediction(tags=tuple(decoded), details=sure))
    return predictions


def run(model: Tagger, examples: Examples, device: torch.device) -> Tagged:
    """The model's answers and its loss on all examples."""
    answers: list[NDArray[Any]] = [np.empty(0)] * len(examples)
    sureness: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(examples)
    losses = np.zeros((len(examples), 2))
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            batch = batch.to(device)
            outputs = model(batch.inputs, batch.extra)
            if examples.targets is not None:
                losses[batch.rows] = model.head.row_losses(outputs, batch.sequence_targets)
            for row, answer in zip(batch.rows.tolist(), model.head.decode(outputs).split_rows(), strict=True):
                answers[row] = answer.cpu().numpy()
            if type(model.head) is Softmax:
                sure = outputs.with_values(outputs.values.softmax(1).amax(1))
                for row, one in zip(batch.rows.tolist(), sure.split_rows(), strict=True):
                    sureness[row] = one.float().cpu().numpy()
    sure_of = sureness if type(model.head) is Softmax else None
    return Tagged(answers, sure_of, None if examples.targets is None else losses)


def tag_metrics(
    answers: list[NDArray[Any]], targets: Sequences, feature: TagsFeature, unknown: NDArray[np.bool_] | None = None
) -> Metrics:
    """Of tags, one a step; steps whose tag the recipe ignores count nowhere.

    `accuracy`, over all steps; `exact`, share of the rows with every tag right; `accuracy_unknown`, of words that are
    not in the vocabulary; `per_class`, precision, recall and F1 of each tag, and `f1`, their mean over
    tags that are true or given. Where tags are
    spans (B-, I-, O), `f1`, `precision` and `recall` are of spans, as conlleval counts them, and `per_span` by type.
    """
    truth, said = targets.values, np.concatenate(answers) if answers else np.empty(0, dtype=np.int64)
    scored = truth != IGNORED
    right = said == truth
    confusion = confusion_of(truth, said, feature.vocab_size)
    per_class = by_class(confusion, feature.names)
    rows_right = np.asarray([bool((a == t)[t != IGNORED].all()) for a, t in zip(answers, _rows(targets), strict=True)])
    found: Metrics = {
        "num_examples": len(answers),
        "num_tokens": int(scored.sum()),
        "accuracy": _mean(right[scored]),
        "exact": _mean(rows_right),
        "f1": float(np.mean([row["f1"] for row in per_class if row["support"] or row["predicted"]] or [0.0])),
        "per_class": per_class,
        SUMS: _tag_sums(said, truth, targets, rows_right, feature.vocab_size),
    }
    if unknown is not None and (scored & unknown).any():
        found["accuracy_unknown"] = _mean(right[scored & unknown])
    if are_span_tags(feature.names):
        of_spans = span_scores(
            [feature.decode(row) for row in _rows(targets)], [feature.decode(row) for row in answers]
        )
        found |= of_spans | {SUMS: found[SUMS].beside(of_spans[SUMS])}
    return found


def _tag_sums(said: Integers, truth: Integers, targets: Sequences, rows_right: Mask, num_tags: int) -> Sums:
    """What metrics of tags are made of: a row is drawn as a whole."""
    rows = Units.rows(len(targets))
    units = rows.steps(targets.lengths)
    scored, known = truth != IGNORED, truth >= 0
    right = (said == truth) & scored
    parts = [
        units.counts(np.maximum(of, 0), num_tags, known & among)
        for of, among in ((truth, right), (said, known), (truth, known))
    ]
    own = np.concatenate([units.sums(right, scored), rows.sums(rows_right, np.ones(len(targets))), *parts], axis=1)
    return Sums(own, {"accuracy": ratio(0, 1), "exact": ratio(2, 3), "f1": mean_f1(4, num_tags)})


def unknown_steps(examples: Examples, features: Features) -> NDArray[np.bool_] | None:
    """(sum L,): which words of the input are not in the vocabulary; nothing where the input is no words."""
    if not isinstance(features.input, TokensFeature | TextFeature):
        return None
    values = examples.sequences.values
    return np.asarray((values if values.ndim == 1 else values[:, 0]) == UNK_ID)


def confusion_of(truth: NDArray[Any], said: NDArray[Any], num_tags: int) -> Integers:
    """(K, K): how often a tag (row) was given as a tag (column), over the steps whose tag training showed."""
    known = truth >= 0
    counts = np.bincount(truth[known] * num_tags + said[known], minlength=num_tags * num_tags)
    return counts.reshape(num_tags, num_tags)


def _rows(sequences: Sequences) -> list[NDArray[Any]]:
    return [sequences.row(index) for index in range(len(sequences))]


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else 0.0
