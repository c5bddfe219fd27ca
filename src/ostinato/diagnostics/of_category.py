"""The subjects of models with more to them than one answer a row: taggers, next-step models, decoders, forecasters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato.arrays import Offsets
from ostinato.data.batching import Batch
from ostinato.data.dataset import Examples, Features
from ostinato.diagnostics.answers import answer_losses, batch_of
from ostinato.diagnostics.recurrences import Recurrence, recurrences
from ostinato.diagnostics.subject import Subject, classifier_subject
from ostinato.errors import DataError
from ostinato.layers.frame_decoder import FrameDecoder, previous_frames
from ostinato.layers.token_decoder import TokenDecoder
from ostinato.nn import LinearChainCRF
from ostinato.nn.ctc import ctc_nll
from ostinato.recipe import Recipe
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.forecasting.model import Forecaster
from ostinato.tasks.next_step.model import NextStep
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.tagging.model import Tagger
from ostinato.types import Ragged, State

_MOST_WINDOW_STEPS = 500_000
"""Steps of all windows of rows whose every step is read with less context: rows beyond that are left out."""
_FEWER_ANSWERS = 4
"""Of a model whose notes have a recurrence each, so many times fewer frames are looked at."""
_FED_BACK = (
    "with `input_feeding`, what attention made of the step before is read as part of the input and kept as it was: "
    "memory that goes that way is not measured"
)
_BESIDE = (
    "what reaches how far back is that of the recurrent layers alone: the convolutions beside them saw all of each row"
)
_FIRST = "of several networks (`model.members`) the first was looked at"
_UNALIGNED = "labels without alignment (ctc): no answer belongs to a step, so there is no memory horizon"


@dataclass(frozen=True)
class Part:
    """A recurrence of a model that is to be diagnosed.

    Args:
        name: `encoder` or `decoder` where the model has both, else none.
        make: its subject on a random sample of answers or rows: how many, and the seed.
        unit: what a step is called.
        reads_input: whether its steps are those of the input column.
        remarks: what does not apply to it, and why.
    """

    name: str
    make: Callable[[int, int], Subject]
    unit: str
    reads_input: bool = True
    remarks: tuple[str, ...] = ()


def parts_of(model: nn.Module, examples: Examples, features: Features, recipe: Recipe) -> list[Part]:
    """What of a model is diagnosed: a classifier's layers (of an ensemble the first member's), a tagger's and a
    forecaster's encoder, a next-step model's layers, a decoder; of a sequence-to-sequence model both. Layers that read
    a word's letters or write a frame note by note are not.

    Args:
        model: in evaluation mode.
        examples: with their targets.
        features: of the run.
        recipe: of the run.
    """
    noun = features.input.step_noun
    if isinstance(model, Classifier | Ensemble):
        one = model if isinstance(model, Classifier) else model.classifiers[0]
        remarks = (_FIRST,) * (one is not model) + (_BESIDE,) * (one.convolution is not None)
        target = features.row_target
        return [
            Part("", lambda count, seed: classifier_subject(one, examples, target, count, seed), noun, remarks=remarks)
        ]
    if isinstance(model, Forecaster):
        unit = "segment" if model.recipe.strategy == "segment" else "step"
        return [Part("", lambda count, seed: _forecaster(model, examples, features, count, seed), unit)]
    if isinstance(model, Tagger) and model.recipe.output == "ctc":
        return [Part("", lambda count, seed: _ctc(model, examples, features, count, seed), noun, remarks=(_UNALIGNED,))]
    if isinstance(model, NextStep) and model.states_per_row > 1:  # an answer is as many rows as there are notes
        few = _FEWER_ANSWERS
        return [Part("", lambda count, seed: _answered(model, examples, features, -(-count // few), seed), noun)]
    if isinstance(model, Tagger | NextStep):
        return [Part("", lambda count, seed: _answered(model, examples, features, count, seed), noun)]
    writer = cast("Seq2Seq | Conditional", model)
    written = cast("Any", features.target).step_noun
    decoder = Part(
        "decoder" if isinstance(model, Seq2Seq) else "",
        lambda count, seed: _answered(writer, examples, features, count, seed),
        written,
        reads_input=False,
        remarks=(_FED_BACK,) if writer.decoder.feeds_back else (),
    )
    if isinstance(model, Conditional):
        return [decoder]
    both = cast("Seq2Seq", model)
    return [Part("encoder", lambda count, seed: _encoder(both, examples, features, count, seed), noun), decoder]


def _answered(
    model: Tagger | NextStep | Seq2Seq | Conditional, examples: Examples, features: Features, count: int, seed: int
) -> Subject:
    """A random sample of single answers (seeded), each at the end of a row of what was read before it, or, where the
    layers read in both directions, within its whole row."""
    decodes = isinstance(model, Seq2Seq | Conditional)
    answering = examples.targets if isinstance(model, Tagger) or decodes else examples.sequences
    ends = decodes and getattr(model.decoder, "length", None) is None
    rows, steps = _drawn(cast("Any", answering).lengths + ends, count, np.random.default_rng(seed))
    read, place = np.unique(rows, return_inverse=True)
    batch, found = _read(model, examples, features, read)
    chosen, steps_read = torch.from_numpy(place), torch.from_numpy(steps)
    if isinstance(model, Tagger):
        known = _at(batch.sequence_targets, chosen, steps_read)
        if model.kind == "tags" and bool((known < 0).any()):
            chosen, steps_read = chosen[(known >= 0).cpu()], steps_read[(known >= 0).cpu()]
        places = steps_read + model.recipe.delay
        part = found["encoder"]
        loss = _tag_loss(model, batch.sequence_targets, chosen, steps_read)
    elif isinstance(model, NextStep):
        part, places = found["encoder"], steps_read
        frames = model.laid(batch.inputs)
        before = _at(previous_frames(frames, frames.values.dtype), chosen, steps_read)
        loss = _frame_loss(model, _at(frames, chosen, steps_read), before)
    else:
        part, places = found["decoder"], steps_read
        if model.decoder.feeds_back:  # it ran step by step, the longest rows first
            order = model.decoder.inputs_and_targets(batch.sequence_targets)[0].unsorted_indices.cpu()
            part = part.take(order, torch.zeros_like(order), part.inputs.lengths[order])
        with torch.no_grad():
            memory = model.read(batch.inputs)[0] if isinstance(model, Seq2Seq) else None
        loss = _written_loss(model.decoder, batch.sequence_targets, memory, part, chosen, steps_read)
    if part.stacks[0].bidirectional:
        lengths = part.inputs.lengths[chosen]
        taken = part.take(chosen, torch.zeros_like(lengths), lengths)
        return Subject(taken.stacks, taken.inputs, loss, per_step=True, initial=taken.initial, places=places)
    side_by_side = model.states_per_row if isinstance(model, NextStep) else 1
    own = (chosen.unsqueeze(1) * side_by_side + torch.arange(side_by_side)).flatten()
    taken = part.take(own, torch.zeros_like(own), (places + 1).repeat_interleave(side_by_side))
    return Subject(taken.stacks, taken.inputs, loss, per_step=True, initial=taken.initial)


def _frame_loss(model: NextStep, frames: Tensor, before: Tensor) -> Callable[[Ragged], Tensor]:
    """Nats of single frames, (M, C), after others; of a recurrence for each note from C rows a frame."""

    def loss(output: Ragged) -> Tensor:
        hidden = output.select_last()
        if model.states_per_row > 1:
            hidden = hidden.view(len(frames), -1, hidden.shape[1])
        return model.output.nll(model.beside(hidden, before), frames)

    return loss


def _tag_loss(model: Tagger, targets: Ragged, rows: Tensor, steps: Tensor) -> Callable[[Ragged], Tensor]:
    """Nats of single steps, or squared error; of a chain of tags given the true tags on either side."""
    wanted = _at(targets, rows, steps)
    crf = model.crf
    beside = None if crf is None else _beside(crf, targets, rows, steps)

    def loss(output: Ragged) -> Tensor:
        scores = model.answer(output.select_last())
        if model.kind == "notes":
            return F.binary_cross_entropy_with_logits(scores, wanted.to(scores.dtype), reduction="none").sum(1)
        if model.kind == "series":
            return F.mse_loss(scores, wanted.to(scores.dtype), reduction="none").mean(1)
        return F.cross_entropy(scores if beside is None else scores + beside, wanted.long(), reduction="none")

    return loss


@torch.no_grad()
def _beside(crf: LinearChainCRF, targets: Ragged, rows: Tensor, steps: Tensor) -> Tensor:
    """(M, K): what the true tags before and after a step add to its scores."""
    lengths = targets.lengths[rows]
    before, after = (_at(targets, rows, places.clamp(min=0)).long() for places in (steps - 1, _next(steps, lengths)))
    first, last = ((steps == 0).to(before.device), (steps == lengths - 1).to(before.device))
    to_it = torch.where(first.unsqueeze(1), crf.start, crf.transitions[before.clamp(min=0)])
    from_it = torch.where(last.unsqueeze(1), crf.end, crf.transitions.T[after.clamp(min=0)])
    unknown = ((before < 0) & ~first, (after < 0) & ~last)
    return to_it.masked_fill(unknown[0].unsqueeze(1), 0.0) + from_it.masked_fill(unknown[1].unsqueeze(1), 0.0)


def _next(steps: Tensor, lengths: Tensor) -> Tensor:
    return torch.minimum(steps + 1, lengths - 1)


@torch.no_grad()
def _written_loss(
    decoder: TokenDecoder | FrameDecoder,
    targets: Ragged,
    memory: Ragged | None,
    part: Recurrence,
    rows: Tensor,
    steps: Tensor,
) -> Callable[[Ragged], Tensor]:
    """Nats of single tokens or frames, attention looking at the whole memory of their rows."""
    wanted = _at(decoder.inputs_and_targets(targets)[1], rows, steps)
    laid = decoder.remember(memory)
    device = wanted.device
    chosen = None if laid is None else laid.select(rows.to(device))
    context = None
    if decoder.feeds_back and decoder.additive and memory is not None:
        context = _at(part.inputs, rows, steps)[:, -memory.values.shape[1] :]  # its query was the state before

    read = decoder.read_single
    if isinstance(decoder, FrameDecoder):
        read = partial(decoder.read_single, last=_at(decoder.inputs_and_targets(targets)[0], rows, steps))

    def loss(output: Ragged) -> Tensor:
        return decoder.step_nll(read(output.select_last(), chosen, context), wanted)

    return loss


def _ctc(model: Tagger, examples: Examples, features: Features, count: int, seed: int) -> Subject:
    """Whole rows, and the nats of their labels."""
    batch, found = _read(model, examples, features, _some(len(examples), count, seed))
    part, delay = found["encoder"], model.recipe.delay

    def loss(output: Ragged) -> Tensor:
        starts = output.lengths.cumsum(0) - output.lengths
        answering = Ragged.from_rows(output.row_major(), starts + delay, output.lengths - delay)
        scores = model.answer(answering.values)
        return ctc_nll(answering.with_values(scores.log_softmax(1)), batch.sequence_targets)

    return Subject(part.stacks, part.inputs, loss, per_step=False, has_context=False)


def _encoder(model: Seq2Seq, examples: Examples, features: Features, count: int, seed: int) -> Subject:
    """The source, and the mean nats of the target's tokens; less context is less around each step of the source."""
    lengths = examples.sequences.lengths
    rows = _some(len(examples), count, seed)
    rows = rows[lengths[rows] > 0]
    rows = rows[: max(2, int(np.searchsorted(np.cumsum(lengths[rows] ** 2), _MOST_WINDOW_STEPS)))]
    batch, found = _read(model, examples, features, rows)
    part = found["encoder"]

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        nll = model.decoder.nll(batch.sequence_targets, model.bridge(finals), output, model.fed(batch.extra))
        sums = nll.values.new_zeros(nll.num_rows).index_add(0, nll.sorted_indices[nll.rows_index()], nll.values)
        return sums / nll.lengths.to(sums.device)

    return Subject(part.stacks, part.inputs, loss, per_step=False, reads_states=True, around=True)


def _forecaster(model: Forecaster, examples: Examples, features: Features, count: int, seed: int) -> Subject:
    """Windows, and the mean loss over the horizon; normalisation sees the whole window whatever the encoder reads."""
    batch, found = _read(model, examples, features, _some(len(examples), count, seed))
    part = found["encoder"]

    def loss(output: Ragged, finals: list[State]) -> Tensor:
        with _encoded(model.strategy.encoder, output, finals):
            losses, mask = model.losses(batch)
        if mask is None:
            return losses.mean((1, 2))
        return (losses * mask).sum((1, 2)) / mask.sum((1, 2)).clamp(min=1.0)

    return Subject(part.stacks, part.inputs, loss, per_step=False, reads_states=True)


@contextmanager
def _encoded(encoder: nn.Module, output: Ragged, finals: list[State]) -> Iterator[None]:
    """While the context lasts, the first call of an encoder returns this; later ones are as always."""
    forward = encoder.forward

    def given(*_: Any, **__: Any) -> tuple[Ragged, list[State]]:
        encoder.forward = forward
        return output, finals

    encoder.forward = given
    try:
        yield
    finally:
        del encoder.forward


def _read(
    model: nn.Module, examples: Examples, features: Features, rows: Offsets
) -> tuple[Batch, dict[str, Recurrence]]:
    """Some rows as a batch, and what of them reaches the model's recurrences, by name."""
    if not len(rows):
        raise DataError("a diagnosis needs at least one row with a step. Received: none.")
    batch = batch_of(examples, rows).to(next(model.parameters()).device)
    return batch, {part.name: part for part in recurrences(model, lambda: answer_losses(model, batch, features))}


def _some(num_rows: int, count: int, seed: int) -> Offsets:
    random = np.random.default_rng(seed)
    return np.sort(random.choice(num_rows, size=min(count, num_rows), replace=False)).astype(np.int64)


def _drawn(lengths: Offsets, count: int, random: np.random.Generator) -> tuple[Offsets, Offsets]:
    """Rows and steps of some answers, each as likely as any other, in their order."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    picked = np.sort(random.choice(total, size=min(count, total), replace=False)).astype(np.int64)
    rows = np.searchsorted(ends, picked, side="right").astype(np.int64)
    return rows, picked - (ends - lengths)[rows]


def _at(values: Ragged, rows: Tensor, steps: Tensor) -> Tensor:
    """(M, ...): the value of each row at a step."""
    places = (values.lengths.cumsum(0) - values.lengths)[rows] + steps
    return values.row_major()[places.to(values.device)]
