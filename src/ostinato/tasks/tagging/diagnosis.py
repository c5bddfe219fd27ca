"""Diagnosis and verification of taggers."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.heads.classes import Ctc
from ostinato.nn import LinearChainCRF
from ostinato.probes.batches import some_rows
from ostinato.probes.part import Part
from ostinato.probes.steps import at_steps, drawn_steps, step_subject
from ostinato.probes.subject import Subject
from ostinato.tasks.probing import Reading
from ostinato.tasks.tagging.model import Tagger
from ostinato.types import Ragged

_UNALIGNED = "labels without alignment (ctc): no answer belongs to a step, so there is no memory horizon"


def parts(reading: Reading) -> list[Part]:
    """The encoder: of labels without alignment on whole rows, else on single steps."""
    noun = reading.features.input.step_noun
    if cast("Tagger", reading.model).recipe.output == "ctc":
        return [Part("", lambda count, seed: _labels(reading, count, seed), noun, remarks=(_UNALIGNED,))]
    return [Part("", lambda count, seed: _steps(reading, count, seed), noun)]


def answers(model: Tagger, batch: Batch) -> Tensor:
    """(N,): the loss of each row, summed over its steps; the true answers before are given to a model that reads its
    own."""
    targets = batch.sequence_targets
    outputs = model.led(batch.inputs, targets, batch.extra)
    rows = zip(outputs.split_rows(), targets.split_rows(), strict=True)
    return torch.stack([model.head.total(_alone(row), _alone(wanted))[0] for row, wanted in rows])


def _alone(row: Tensor) -> Ragged:
    return Ragged.from_padded(row.unsqueeze(0))


def _steps(reading: Reading, count: int, seed: int) -> Subject:
    """Single steps whose tags are known."""
    model, targets = cast("Tagger", reading.model), reading.examples.target_sequences
    read, rows, steps = drawn_steps(targets.lengths, count, seed)
    batch, found = reading.read(read)
    known = at_steps(batch.sequence_targets, rows, steps)
    if model.kind == "tags" and bool((known < 0).any()):
        rows, steps = rows[(known >= 0).cpu()], steps[(known >= 0).cpu()]
    loss = _step_loss(model, batch.sequence_targets, rows, steps)
    return step_subject(found["encoder"], rows, steps + model.recipe.delay, loss)


def _step_loss(model: Tagger, targets: Ragged, rows: Tensor, steps: Tensor) -> Callable[[Ragged], Tensor]:
    """Nats of single steps, or squared error; of a chain of tags given the true tags on either side."""
    wanted = at_steps(targets, rows, steps)
    around = None if model.crf is None else tags_around(model.crf, targets, rows, steps)

    def loss(output: Ragged) -> Tensor:
        scores = model.answer(output.select_last())
        return model.head.nll(scores if around is None else scores + around, wanted)

    return loss


@torch.no_grad()
def tags_around(crf: LinearChainCRF, targets: Ragged, rows: Tensor, steps: Tensor) -> Tensor:
    """(M, K): what the true tags before and after a step add to its scores."""
    lengths = targets.lengths[rows]
    places = (steps - 1, torch.minimum(steps + 1, lengths - 1))
    before, after = (at_steps(targets, rows, place.clamp(min=0)).long() for place in places)
    first, last = ((steps == 0).to(before.device), (steps == lengths - 1).to(before.device))
    to_it = torch.where(first.unsqueeze(1), crf.start, crf.transitions[before.clamp(min=0)])
    from_it = torch.where(last.unsqueeze(1), crf.end, crf.transitions.T[after.clamp(min=0)])
    unknown = ((before < 0) & ~first, (after < 0) & ~last)
    return to_it.masked_fill(unknown[0].unsqueeze(1), 0.0) + from_it.masked_fill(unknown[1].unsqueeze(1), 0.0)


def _labels(reading: Reading, count: int, seed: int) -> Subject:
    """Whole rows, and the nats of their labels."""
    model = cast("Tagger", reading.model)
    batch, found = reading.read(some_rows(len(reading.examples), count, seed))
    part, delay = found["encoder"], model.recipe.delay

    def loss(output: Ragged) -> Tensor:
        starts = output.lengths.cumsum(0) - output.lengths
        answering = Ragged.from_rows(output.row_major(), starts + delay, output.lengths - delay)
        scores = model.answer(answering.values)
        return cast("Ctc", model.head).row_nll(answering.with_values(scores), batch.sequence_targets)

    return Subject(part.stacks, part.inputs, loss, per_step=False, has_context=False)
