"""What a conditional model has of its own among those that write."""

from __future__ import annotations

from ostinato.tasks.conditional.baselines import GivenComparison, NgramsOfAll, NgramsOfEach, TokenFrequencies
from ostinato.tasks.conditional.baselines_whole import WholeSequences
from ostinato.tasks.conditional.evaluation import metrics_of
from ostinato.tasks.conditional.model import Conditional
from ostinato.tasks.conditional.report import conditional_results
from ostinato.tasks.decoder_probing import decoder_part
from ostinato.tasks.writing import Writer

WRITER = Writer(
    model=Conditional,
    parts=lambda reading: [decoder_part(reading, "", lambda _: None)],  # which attends to nothing
    metrics=metrics_of,
    report=conditional_results,
    comparison=GivenComparison,
    baselines=(TokenFrequencies, NgramsOfAll, NgramsOfEach, WholeSequences),
)
