"""Readers by format: each turns a path into blocks of text columns."""

from ostinato.data.readers.base import Source
from ostinato.data.readers.conll import ConllSource, ConlluSource
from ostinato.data.readers.delimited import DelimitedSource, TabSource
from ostinato.data.readers.fasta import FastaSource, FastqSource
from ostinato.data.readers.folder import FolderSource
from ostinato.data.readers.jsonl import JsonLinesSource
from ostinato.data.readers.parquet import ParquetSource
from ostinato.data.readers.pianoroll import MidiSource, PianoRollSource
from ostinato.data.readers.text import TextSource

__all__ = [
    "ConllSource",
    "ConlluSource",
    "DelimitedSource",
    "FastaSource",
    "FastqSource",
    "FolderSource",
    "JsonLinesSource",
    "MidiSource",
    "ParquetSource",
    "PianoRollSource",
    "Source",
    "TabSource",
    "TextSource",
]
