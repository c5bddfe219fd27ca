"""What a sequence-to-sequence model has of its own among those that write."""

from __future__ import annotations

from ostinato.tasks.seq2seq.baselines import Copy, MostFrequentAnswer, PairsComparison, TokenByToken
from ostinato.tasks.seq2seq.diagnosis import parts
from ostinato.tasks.seq2seq.evaluation import metrics_of
from ostinato.tasks.seq2seq.model import Seq2Seq
from ostinato.tasks.seq2seq.report import transcription_results
from ostinato.tasks.writing import Writer

WRITER = Writer(
    model=Seq2Seq,
    parts=parts,
    metrics=metrics_of,
    report=transcription_results,
    comparison=PairsComparison,
    baselines=(MostFrequentAnswer, Copy, TokenByToken),
)
