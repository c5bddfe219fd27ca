"""The report's results of a tagger: tags, spans, labels without an alignment, several labels a step, or numbers."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from ostinato.data.dataset import Examples, Prepared
from ostinato.data.features import TagsFeature, TextFeature, TokensFeature
from ostinato.data.features.tags import IGNORED
from ostinato.data.sequences import Sequences
from ostinato.data.vocabulary import SPECIAL, UNK_ID
from ostinato.metrics.classification import Metrics
from ostinato.metrics.edit_distance import edit_distance
from ostinato.metrics.resampling import with_intervals
from ostinato.report.confusion import confusion_table, mixups
from ostinato.report.data import Section
from ostinato.report.edits import mixups_of
from ostinato.report.exhibits import exhibit
from ostinato.report.page import limits
from ostinato.tasks.tagging.evaluation import Tagged, confusion_of, metrics_of, run, tag_metrics
from ostinato.tasks.tagging.model import Tagger

_WORST = 12
_SHOWN_STEPS = 60
_FREQUENCIES = ((1, 1, "once"), (2, 9, "2 to 9 times"), (10, 99, "10 to 99 times"), (100, None, "100 times or more"))
_OUTPUTS = {"softmax": "independently", "crf": "as a chain (CRF)", "ctc": "without an alignment (CTC)"}


def tagger_results(model: Tagger, prepared: Prepared, device: torch.device) -> Section:
    """Metrics on the validation data next to those of a guess, what is taken for what, and the worst rows."""
    examples = prepared.validation
    found = run(model, examples, device)
    scored = with_intervals({"loss": found.loss, **metrics_of(model, found, examples, prepared.features)})
    kind = "labels" if model.recipe.output == "ctc" else model.kind
    section: Section = {"target_kind": kind, "metrics": scored, "sentence": _sentence(model, prepared)}
    if kind == "tags":
        return section | _tags(found, scored, prepared)
    if kind == "labels":
        return section | _labels(found, scored, prepared)
    return section | _numbers(found, scored, prepared, kind)


def _sentence(model: Tagger, prepared: Prepared) -> str:
    data, target = prepared.recipe.data, prepared.features.sequence_target
    covariates = f" (with {', '.join(f'`{name}`' for name in prepared.features.extra)})" if data.extra else ""
    unit = prepared.features.input.step_noun
    if model.recipe.output == "ctc":
        return f"Writes `{data.target}` from `{data.input}`{covariates}, labels for {unit}s {_OUTPUTS['ctc']}."
    if model.kind != "tags":
        return f"Gives `{data.target}` for each {unit} of `{data.input}`{covariates}."
    delay = f", {model.recipe.delay} steps after it" if model.recipe.delay else ""
    count = getattr(target, "vocab_size", 0)
    return (
        f"Gives one of {count} tags (`{data.target}`) to each {unit} of `{data.input}`{covariates}{delay}, "
        f"{_OUTPUTS[model.recipe.output]}."
    )


def _tags(found: Tagged, scored: Metrics, prepared: Prepared) -> Section:
    train, examples = prepared.train, prepared.validation
    feature = cast("TagsFeature", prepared.features.target)
    targets = examples.target_sequences
    guess = tag_metrics(usual_tags(prepared, train, examples), targets, feature)
    said = np.concatenate(found.answers)
    confusion = confusion_of(targets.values, said, feature.vocab_size)
    spans = "per_span" in scored
    rows = [("accuracy", "accuracy", "percent", "share of steps with the right tag")]
    if spans:
        rows.insert(0, ("f1", "F1 of spans", "percent", "harmonic mean of precision and recall, as conlleval counts"))
        rows += [("precision", "precision of spans", "percent", "share of predicted spans that are right")]
        rows += [("recall", "recall of spans", "percent", "share of true spans that were found")]
    else:
        rows.append(("f1", "macro F1", "percent", "averaged over tags"))
    rows.append(("exact", "rows right", "percent", "share of rows with every tag right"))
    words = isinstance(prepared.features.input, TokensFeature | TextFeature)
    tiles = [
        ("validation " + name, _percent(scored[key]), f"{_percent(guess[key])} by a guess", _spread(scored, key))
        for key, name, *_ in rows[:2]
    ]
    if "accuracy_unknown" in scored:
        about = "accuracy of words not in the vocabulary"
        tiles.append(("unknown words", _percent(scored["accuracy_unknown"]), about, ""))
    return {
        "tiles": tiles,
        "table": [{"name": n, "value": scored[k], "guess": guess[k], "meaning": m} for k, n, _, m in rows],
        "guess": "gives each word its most frequent training tag" if words else "always predicts the most frequent tag",
        "confusion": confusion_table(confusion.tolist(), feature.names),
        "mixups": mixups(confusion, feature.names),
        "by_frequency": _by_frequency(prepared, said) if words else [],
        "num_wrong": int(((said != targets.values) & (targets.values != IGNORED)).sum()),
        "mistakes": _mistakes(found, prepared, feature),
    }


def usual_tags(prepared: Prepared, train: Examples, examples: Examples) -> list[NDArray[Any]]:
    """A guess that reads one word at a time: its most frequent tag in training (else the most frequent of all)."""
    feature = cast("TagsFeature", prepared.features.target)
    targets, size = train.target_sequences.values, feature.vocab_size
    known = targets >= 0
    usual = int(np.bincount(targets[known], minlength=size).argmax())
    if not isinstance(prepared.features.input, TokensFeature | TextFeature):
        return [np.full(length, usual) for length in examples.sequences.lengths.tolist()]
    counts = np.zeros((prepared.features.input.vocab_size, size), dtype=np.int64)
    np.add.at(counts, (_words(train.sequences)[known], targets[known]), 1)
    best = np.where(counts.sum(1) > 0, counts.argmax(1), usual)
    return np.split(best[_words(examples.sequences)], examples.sequences.offsets[1:-1])


def _words(sequences: Sequences) -> NDArray[Any]:
    return sequences.values if sequences.values.ndim == 1 else sequences.values[:, 0]


def _by_frequency(prepared: Prepared, said: NDArray[Any]) -> list[Section]:
    """How often tags are right, by how often training held the word."""
    examples = prepared.validation
    feature = cast("TokensFeature", prepared.features.input)
    truth, words = examples.target_sequences.values, _words(examples.sequences)
    counts = feature.counts[words]
    counts[words < len(SPECIAL)] = 0
    scored = truth != IGNORED
    groups = [("not in the vocabulary", scored & (words == UNK_ID))]
    groups += [
        (name, scored & (counts >= low) & (counts <= (high or counts.max(initial=0))))
        for low, high, name in _FREQUENCIES
    ]
    return [
        {"name": name, "count": int(where.sum()), "right": float((said == truth)[where].mean())}
        for name, where in groups
        if where.any()
    ]


def _mistakes(found: Tagged, prepared: Prepared, feature: TagsFeature) -> list[Section]:
    """The rows with the most wrong tags, each step with its tags."""
    examples = prepared.validation
    targets = examples.target_sequences
    wrong = [
        int(((answers != targets.row(row)) & (targets.row(row) != IGNORED)).sum())
        for row, answers in enumerate(found.answers)
    ]
    order = np.argsort(-np.asarray(wrong), kind="stable")[:_WORST]
    shown = []
    for row in (int(row) for row in order if wrong[row]):
        truth, answers = targets.row(row), found.answers[row]
        first = _first_shown(truth, answers)
        part = slice(first, first + _SHOWN_STEPS)
        names = zip(feature.decode(truth[part]), feature.decode(answers[part]), strict=True)
        texts = step_texts(examples, row, prepared)[part]
        steps = [
            {"text": text, "true": true, "said": said, "right": true == said or truth[first + k] == IGNORED}
            for k, (text, (true, said)) in enumerate(zip(texts, names, strict=False))
        ]
        place = {"location": examples.location(row), "wrong": wrong[row], "length": len(truth)}
        place["exhibit"] = exhibit(prepared.features.input, examples, row)
        shown.append({**place, "steps": steps, "cut_off": first > 0, "goes_on": first + len(steps) < len(truth)})
    return shown


def _first_shown(truth: NDArray[Any], answers: NDArray[Any]) -> int:
    """Where what is shown of a long row begins: a few steps before its first mistake."""
    if len(truth) <= _SHOWN_STEPS:
        return 0
    first = int(np.flatnonzero((truth != answers) & (truth != IGNORED))[0])
    return max(0, min(first - 5, len(truth) - _SHOWN_STEPS))


def step_texts(examples: Examples, row: int, prepared: Prepared) -> list[str]:
    """What to call each step of a row: its word or letter; numbers where the input is neither."""
    feature, length = prepared.features.input, int(examples.sequences.lengths[row])
    if isinstance(feature, TokensFeature):
        words = examples.preview(row).split(" ")  # as they were written
        words = words if len(words) == length else words[:-1]  # the preview ends within a word
        return words + feature.decode(examples.sequences.row(row)[len(words) :])
    if isinstance(feature, TextFeature):
        return [feature.vocabulary.tokens[int(number)] for number in examples.sequences.row(row)]
    if feature.kind in ("dna", "protein") and len(examples.preview(row)) >= min(length, _SHOWN_STEPS):
        letters = list(examples.preview(row))[:length]
        return letters + [str(k + 1) for k in range(len(letters), length)]
    return [str(step + 1) for step in range(length)]


def _labels(found: Tagged, scored: Metrics, prepared: Prepared) -> Section:
    """Of labels without an alignment: error rates, and the rows with the most errors."""
    examples = prepared.validation
    targets, feature = examples.target_sequences, prepared.features.sequence_target
    pairs = [(targets.row(row).tolist(), answer.tolist()) for row, answer in enumerate(found.answers)]
    distances = [edit_distance(*pair) for pair in pairs]

    def shown(row: int) -> Section:
        right, written = (_written(feature.decode(ids)) for ids in (targets.row(row), found.answers[row]))
        shows = exhibit(prepared.features.input, examples, row)
        place: Section = {"location": examples.location(row), "source": examples.preview(row), "exhibit": shows}
        return {**place, "others": [], "right": right, "written": written, "distance": distances[row]}

    worst = sorted(range(len(pairs)), key=lambda row: -distances[row] / max(len(pairs[row][0]), 1))
    spread = np.linspace(0, len(pairs) - 1, min(_WORST, len(pairs))).astype(int).tolist()
    return {
        "tiles": [
            (
                "edits a label",
                _percent(scored["token_error_rate"]),
                "insertions, deletions, substitutions",
                _spread(scored, "token_error_rate"),
            ),
            ("rows exact", _percent(scored["exact"]), "", _spread(scored, "exact")),
        ],
        "mixups": mixups_of(pairs, feature),
        "examples": [shown(row) for row in spread],
        "num_wrong": sum(distance > 0 for distance in distances),
        "worst": [shown(row) for row in worst[:_WORST] if distances[row]],
    }


def _numbers(found: Tagged, scored: Metrics, prepared: Prepared, kind: str) -> Section:
    """Of several labels or numbers a step."""
    from ostinato.report import plots

    truth = prepared.validation.target_sequences.values
    said = np.concatenate(found.answers)
    if kind == "notes":
        about = "of true or predicted labels, the share that is both"
        tiles = [("accuracy", _percent(scored["accuracy"]), about, _spread(scored, "accuracy"))]
        return {"tiles": [*tiles, ("F1", _percent(scored["f1"]), "", _spread(scored, "f1"))], "mistakes": []}
    name = f"{prepared.recipe.data.target}, standardised"
    flat, wanted = said.ravel().astype(np.float64), truth.ravel().astype(np.float64)
    return {
        "tiles": [
            ("mean squared error", f"{scored['mse']:.4f}", "", limits(scored, "mse", digits=4)),
            ("R²", f"{scored['r2'] or 0:.3f}", "", limits(scored, "r2")),
        ],
        "scatter": plots.scatter(wanted, flat, name),
        "residuals": plots.residuals(flat - wanted, name),
        "mistakes": [],
    }


def _written(decoded: Any) -> str:
    return decoded if isinstance(decoded, str) else " ".join(map(str, decoded))


def _spread(scored: Metrics, key: str) -> str:
    return limits(scored, key, "percent", 2)


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"
