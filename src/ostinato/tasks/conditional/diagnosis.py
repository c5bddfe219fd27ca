"""What of a conditional model is diagnosed: its decoder."""

from __future__ import annotations

from torch import Tensor

from ostinato.data.batching import Batch
from ostinato.probes.part import Part
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.decoder_probing import decoder_part
from ostinato.tasks.probing import Reading


def parts(reading: Reading) -> list[Part]:
    """The decoder, which attends to nothing."""
    return [decoder_part(reading, "", lambda _: None)]


def answers(model: Conditional, batch: Batch) -> Tensor:
    """The nats of each token or frame given those before it, row after row."""
    return model.nll(batch.inputs, batch.sequence_targets, batch.extra).row_major()
