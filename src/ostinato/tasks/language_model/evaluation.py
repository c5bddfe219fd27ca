"""Scoring of language models: a text is read window by window, the state carried as in training."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Floats, Ids, Integers
from ostinato.data.dataset import Features
from ostinato.data.streams import Tapes, Window
from ostinato.metrics import classification as metrics
from ostinato.metrics.resampling import SUMS, Units
from ostinato.nn.modes import evaluating
from ostinato.recipe import BpttRecipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.types import State

MONITOR_STREAMS = 32
_WINDOW_STEPS = 256


def evaluate_stream(
    model: LanguageModel,
    values: Ids,
    features: Features,
    device: torch.device,
    bptt: BpttRecipe | None = None,
    num_streams: int = 1,
) -> metrics.Metrics:
    """Loss and metrics of a language model on one long text, its state as it was in training: carried throughout, and
    zero at the beginning of each document; without `bptt.carry_state` zero at the beginning of each window, too.

    With `num_streams` > 1 the text is read in that many parts side by side: faster, but each begins without context.
    """
    found = list(window_nll(model, values, features, device, bptt, num_streams))
    nll, counts = (np.asarray(part) for part in zip(*found, strict=True))
    return text_metrics(nll, counts, features)


def text_metrics(nll: Floats, counts: Integers, features: Features) -> metrics.Metrics:
    """Loss and metrics of the stretches of a text: -ln p and tokens of each, (M,)."""
    total, count = float(nll.sum()), int(counts.sum())
    found = metrics.language_model(total, count, characters=features.text.recipe.unit == "characters")
    return {"loss": total / count, **found, SUMS: metrics.token_sums(nll, counts, Units.stretches(len(nll)))}


def window_nll(
    model: LanguageModel,
    values: Ids,
    features: Features,
    device: torch.device,
    bptt: BpttRecipe | None = None,
    num_streams: int = 1,
) -> Iterator[tuple[float, int]]:
    """As `evaluate_stream`, window by window: the sum of -ln p(token), and how many tokens were predicted."""
    with evaluating(model):
        tapes = Tapes.of_text(len(values), num_streams, features.begins(values))
        state_reset_interval = None if bptt is None else bptt.state_reset_interval
        steps = state_reset_interval or _WINDOW_STEPS
        zeros = states = model.zero_states(tapes.num_streams)
        for start in range(0, tapes.length, steps):
            window = tapes.window(start, start + steps)
            nll, finals = _read(model, window, values, states, device)
            states = zeros if state_reset_interval else finals
            yield nll, window.num_steps


def _read(
    model: LanguageModel, window: Window, values: Ids, states: list[State], device: torch.device
) -> tuple[float, list[State]]:
    """As `stream_nll`, from the states of the streams to theirs; each segment scored before the weights follow it."""
    dynamic, total = model.dynamic, 0.0
    for part in [window] if dynamic is None else window.split(dynamic.SEGMENT):
        with torch.inference_mode(dynamic is None):
            nll, finals = stream_nll(model, part, values, part.enter(states), device)
            states = part.leave(states, [tuple(one.detach() for one in state) for state in finals])
        if dynamic is not None:
            dynamic.update(nll / part.num_steps)
        total += float(nll.detach())
    return total, states


def stream_nll(
    model: LanguageModel, window: Window, values: Ids, states: list[State], device: torch.device
) -> tuple[Tensor, list[State]]:
    """Sum of -ln p of the value after each one of a window, and the states after its pieces."""
    ids, targets = (
        part.with_values(part.values.long()).to(device) for part in (window.take(values), window.take(values, 1))
    )
    return model.nll(ids, targets, states)
