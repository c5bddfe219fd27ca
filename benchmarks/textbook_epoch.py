"""One epoch of the textbook's IMDb model: `recipes/imdb-textbook.yaml` against the plain-PyTorch loop of the textbook.

The rival is written as the chapter writes it (Raschka, Liu, Mirjalili 2022, chapter 15): a Counter for the vocabulary,
a collate function that cleans, tokenises and encodes each review with `re`, pad_sequence, pack_padded_sequence,
nn.LSTM, Adam, batches of 32 in random order. Both begin at the file. Reading is timed once each; then blocks of batches
are timed in turn, and an epoch is reading + (number of batches) * (mean time of a batch). Dropout, which the recipe
adds to the textbook's model, stays on in ours.

    OSTINATO_DATA=... python benchmarks/textbook_epoch.py [--blocks 5] [--batches 12]
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import re
import statistics
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ostinato.data.catalog import resolve_path
from ostinato.kernels import dispatch
from ostinato.recipe import load_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.training.clipping import Clipper
from ostinato.training.saved import make_optimizer

_TRAINING_ROWS = 20_000
_BATCH = 32


def tokenizer(text: str) -> list[str]:
    """The textbook's, word for word."""
    text = re.sub("<[^>]*>", "", text)
    emoticons = re.findall(r"(?::|;|=)(?:-)?(?:\)|\(|D|P)", text.lower())
    text = re.sub(r"[\W]+", " ", text.lower()) + " ".join(emoticons).replace("-", "")
    return text.split()


class TextbookModel(nn.Module):
    """Embedding 20, LSTM 64, dense 64, sigmoid."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, 20, padding_idx=0)
        self.rnn = nn.LSTM(20, 64, batch_first=True)
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 1)

    def forward(self, text: Tensor, lengths: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(
            self.embedding(text), lengths, enforce_sorted=False, batch_first=True
        )
        _, (hidden, _) = self.rnn(packed)
        return torch.sigmoid(self.fc2(torch.relu(self.fc1(hidden[-1]))))


def textbook() -> tuple[float, Iterator[float]]:
    """Seconds to read and build the vocabulary, and an endless iterator over the seconds of each step."""
    began = time.perf_counter()
    with lzma.open(resolve_path("imdb:train"), "rt", encoding="utf-8") as lines:
        rows = [(row["label"], row["text"]) for row in map(json.loads, lines)]
    generator = torch.Generator().manual_seed(1)
    train = [rows[i] for i in torch.randperm(len(rows), generator=generator)[:_TRAINING_ROWS].tolist()]
    counts: Counter[str] = Counter()
    for _, text in train:
        counts.update(tokenizer(text))
    ordered = OrderedDict(sorted(counts.items(), key=lambda item: item[1], reverse=True))
    vocabulary = {token: number for number, token in enumerate(ordered, start=2)}
    prepared_s = time.perf_counter() - began

    def collate(batch: list[Any]) -> tuple[Tensor, Tensor, Tensor]:
        encoded = [
            torch.tensor([vocabulary.get(t, 1) for t in tokenizer(text)], dtype=torch.int64) for _, text in batch
        ]
        labels = torch.tensor([float(label) for label, _ in batch])
        lengths = torch.tensor([len(row) for row in encoded])
        return nn.utils.rnn.pad_sequence(encoded, batch_first=True), labels, lengths

    torch.manual_seed(1)
    model = TextbookModel(len(vocabulary) + 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loss_function = nn.BCELoss()
    loader = DataLoader(train, batch_size=_BATCH, shuffle=True, collate_fn=collate)  # type: ignore[arg-type]

    def steps() -> Iterator[float]:
        while True:
            batches = iter(loader)
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                if batch is None:
                    break
                text, labels, lengths = batch
                optimizer.zero_grad()
                loss = loss_function(model(text, lengths)[:, 0], labels)
                loss.backward()
                optimizer.step()
                loss.item()
                yield time.perf_counter() - began

    return prepared_s, steps()


def ostinato() -> tuple[float, Iterator[float]]:
    """The same for the recipe, with the library's own parts."""
    began = time.perf_counter()
    prepared = prepare(load_recipe("imdb-textbook"))
    prepared_s = time.perf_counter() - began
    recipe = prepared.recipe.training
    torch.manual_seed(recipe.seed)
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    task = training_of(task_of(prepared.recipe), model, prepared, torch.device("cpu"))
    optimizer, clip = make_optimizer(model, recipe), Clipper(model, recipe)

    def steps() -> Iterator[float]:
        for epoch in itertools.count():
            batches = iter(task.batches(epoch, 0))
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                if batch is None:
                    break
                optimizer.zero_grad()
                task.backward(batch)
                clip()
                optimizer.step()
                yield time.perf_counter() - began

    return prepared_s, steps()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--batches", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    (ours_s, ours), (theirs_s, theirs) = ostinato(), textbook()
    with dispatch.record() as ran:
        for steps in (ours, theirs):
            list(itertools.islice(steps, 3))
    print(f"ours runs with {set(ran)}")
    print(f"reading: ours {ours_s:.1f} s, encoded; textbook {theirs_s:.1f} s, to be encoded batch by batch")
    ours_all: list[float] = []
    theirs_all: list[float] = []
    num_batches = -(-_TRAINING_ROWS // _BATCH)
    ratios = []
    for _ in range(arguments.blocks):
        mine = list(itertools.islice(ours, arguments.batches))
        yours = list(itertools.islice(theirs, arguments.batches))
        ours_all += mine
        theirs_all += yours
        ratios.append(
            (theirs_s + num_batches * statistics.fmean(yours)) / (ours_s + num_batches * statistics.fmean(mine))
        )
    ours_epoch = ours_s + num_batches * statistics.fmean(ours_all)
    theirs_epoch = theirs_s + num_batches * statistics.fmean(theirs_all)
    print(
        f"batch: ours {statistics.fmean(ours_all) * 1e3:.1f} ms, textbook {statistics.fmean(theirs_all) * 1e3:.1f} ms\n"
        f"an epoch of {num_batches} batches: ours {ours_epoch:.1f} s, textbook {theirs_epoch:.1f} s, "
        f"ratio {statistics.median(ratios):.1f} ({min(ratios):.1f} … {max(ratios):.1f})"
    )


if __name__ == "__main__":
    main()
