"""Evaluating, predicting and reporting of classifiers: one value a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import cast
from weakref import ref

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ostinato.arrays import Array, Floats, Integers
from ostinato.data.batching import BucketedBatches
from ostinato.data.dataset import Examples, Features
from ostinato.heads.classes import Deciding
from ostinato.layers.covariates import Extra
from ostinato.metrics.classification import Metrics, classification
from ostinato.metrics.decisions import Decisions, best_threshold, fit_share, fit_temperature
from ostinato.metrics.prediction import Prediction
from ostinato.metrics.resampling import SUMS, row_means
from ostinato.nn.modes import evaluating
from ostinato.report.data import Section
from ostinato.tasks.classification.blended import Blended
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.kernels import KernelScore
from ostinato.tasks.classification.ngrams import NgramScore
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.types import Ragged

_ROWS = 64


def predict_examples(model: Blended, examples: Examples, device: torch.device) -> Tensor:
    """The model's outputs (N, num_outputs) for all examples, in their order, without gradients."""
    if model.linear is not None:
        return model.mixed(*_paths(model, examples, device))
    return _each(model, examples, device, model)


def vectors_of(model: Blended, examples: Examples, device: torch.device) -> Array:
    """(N, F): what each row is to the network before its output."""
    return _each(model, examples, device, lambda ids, extra: model.vectors(ids)).numpy()


def _paths(model: Blended, examples: Examples, device: torch.device) -> tuple[Tensor, Tensor]:
    """What the recurrent path says of all examples, and the linear score, which is found again only where its weights
    or the examples are others than before: training moves neither."""
    linear = cast("KernelScore | NgramScore", model.linear)
    weights = tuple((one.data_ptr(), one._version) for one in linear.parameters())
    if model.scored is None or model.scored[0]() is not examples or model.scored[1] != weights:
        model.scored = (ref(examples), weights, _each(model, examples, device, lambda ids, extra: linear(ids)))
    return _each(model, examples, device, model.recurrent), model.scored[2]


def _each(model: Blended, examples: Examples, device: torch.device, score: Callable[[Ragged, Extra], Tensor]) -> Tensor:
    """(N, num_outputs) of all examples, in their order."""
    outputs: list[Tensor] = []
    rows: list[NDArray[np.int64]] = []
    with evaluating(model), torch.inference_mode():
        for batch in BucketedBatches(examples, _ROWS).epoch(0):
            batch = batch.to(device)
            outputs.append(score(batch.inputs, batch.extra).float().cpu())
            rows.append(batch.rows)
    return torch.cat(outputs)[torch.from_numpy(np.argsort(np.concatenate(rows)))]


def evaluate(model: Blended, examples: Examples, device: torch.device) -> Metrics:
    """Loss and metrics on examples with targets."""
    outputs, head = predict_examples(model, examples, device), model.head
    truth = np.asarray(examples.targets)
    losses = head.nll(outputs, torch.tensor(truth))
    found = head.metrics(head.answers(outputs).numpy(), truth)
    return {"loss": float(losses.mean()), **found, SUMS: found[SUMS].beside(row_means(loss=losses.numpy()))}


def predict(model: Blended, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
    """A class, labels or a number for each row."""
    answers, head = model.head.answers(predict_examples(model, examples, device)).numpy(), model.head
    found = [Prediction(**features.row_target.said(answer)) for answer in answers]
    return decided(found, answers, head.decisions, features) if isinstance(head, Deciding) else found


def decided(found: list[Prediction], answers: Floats, decisions: Decisions, features: Features) -> list[Prediction]:
    """Predictions of classes with the label that a threshold chooses, and none where the model abstains."""
    classes, given = features.row_target.classes, decisions.given(answers)
    chosen = decisions.chosen(answers)
    return [
        replace(one, label=classes[k]) if there else replace(one, label=None, abstained=True)
        for one, k, there in zip(found, chosen.tolist(), given.tolist(), strict=True)
    ]


def decide(model: Blended, examples: Examples, recipe: ClassificationRecipe, device: torch.device) -> Section | None:
    """What is decided on validation rows: the linear score's share, temperature and threshold, as `recipe` says, and
    the calibration error (ECE) and log loss before and after; None for a model of no classes. The model decides so from
    now on."""
    head = model.head
    if not isinstance(head, Deciding):
        return None
    shared: Section = {}
    if isinstance(model, Ensemble):
        shared["members"] = _fit_members(model, examples, device)
    outputs, truth = predict_examples(model, examples, device), np.asarray(examples.targets).astype(np.int64)
    before = _calibration(head.answers(outputs).numpy(), truth)
    if recipe.calibration == "temperature":
        if model.linear is not None:
            recurrent, linear = _paths(model, examples, device)
            model.linear_share = fit_share(_logits(linear), _logits(recurrent), truth, model.linear.usual_share)
            shared["linear_share"] = model.linear_share
            outputs = model.mixed(recurrent, linear)
        head.decisions = replace(head.decisions, temperature=fit_temperature(_logits(outputs), truth))
    answers = head.answers(outputs).numpy()
    if recipe.threshold == "f1":
        head.decisions = replace(head.decisions, threshold=best_threshold(answers[:, 1], truth == 1))
    return {**head.decisions.to_dict(), **shared, "before": before, "after": _calibration(answers, truth)}


def _fit_members(model: Ensemble, examples: Examples, device: torch.device) -> int:
    """How many networks answer: all, but one where that is better by more than a standard error. The model answers so
    from now on."""
    truth, losses = torch.tensor(np.asarray(examples.targets)), dict[int, Floats]()
    for count in (1, len(model.members)):
        model.num_answering = count
        losses[count] = model.head.nll(_each(model, examples, device, model.recurrent), truth).double().numpy()
    gap = losses[len(model.members)] - losses[1]
    if len(gap) > 1 and gap.mean() > gap.std(ddof=1) / len(gap) ** 0.5:
        model.num_answering = 1
    return model.num_answering


def _logits(outputs: Tensor) -> Floats:
    """(N, K), of two classes, too."""
    found = outputs.numpy()
    return found if found.shape[1] > 1 else np.pad(found, ((0, 0), (1, 0)))


def _calibration(answers: Floats, truth: Integers) -> Section:
    found = classification(answers, truth, tuple(map(str, range(answers.shape[1]))))
    return {key: found[key] for key in ("calibration_error", "log_loss")}
