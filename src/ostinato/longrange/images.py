"""Sequential and permuted MNIST: handwritten digits, read one pixel at a time."""

from __future__ import annotations

from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from ostinato.arrays import Array
from ostinato.data.catalog import find
from ostinato.data.readers.idx import labels_beside, read_idx
from ostinato.longrange.task import Batch, Split, Task, uniform_nll
from ostinato.types import Ragged

NUM_TRAIN = 55_000
"""Images to train on: the first of the training file; its last 5,000 are for validation."""

PERMUTATION_SEED = 92_916
_MEAN, _DEVIATION = 0.1307, 0.3081


class SequentialMnist(Task):
    """Which digit it is, after 784 pixels one by one, in rows from the top or in one fixed random order.

    A step is a pixel, standardised ((x/255 - 0.1307) / 0.3081, the training images' mean and deviation). A guess costs
    ln 10 = 2.30. Training data are the first 55,000 images of the training file, in a new order each epoch, validation
    data its last 5,000, test data the 10,000 of the test file. ``length``: 784. Solved: 95 %.

    Source: Q. Le, N. Jaitly and G. Hinton (2015), arXiv:1504.00941, section 4.2; the images: Y. LeCun, L. Bottou, Y.
    Bengio and P. Haffner, "Gradient-Based Learning Applied to Document Recognition", Proceedings of the IEEE 86 (1998).

    Args:
        permuted: the pixels of every image in one random order, numpy's ``default_rng(92916).permutation(784)``.

    Raises:
        DataError: at the first batch, if the four files lie neither in ``$OSTINATO_DATA/mnist`` nor in the cache.
    """

    source: ClassVar[str] = "Le, Jaitly & Hinton 2015"
    num_inputs = 1
    num_outputs = 10
    tokens: ClassVar[bool] = False
    threshold = 0.95
    only_length = 784
    num_held_out: ClassVar[dict[str, int]] = {"validation": 5_000, "test": 10_000}

    def __init__(self, permuted: bool) -> None:
        self.name = "permuted-mnist" if permuted else "sequential-mnist"
        self.permuted = permuted

    def baseline(self, length: int) -> float:
        """ln 10."""
        return uniform_nll(10)

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, 784, 1) and (N,): training images drawn with replacement; `batch` goes through them in epochs."""
        chosen = torch.from_numpy(random.integers(0, NUM_TRAIN, len(lengths)))
        pixels, labels = self._train
        return pixels[chosen].unsqueeze(-1).numpy(), labels[chosen].numpy()

    def batch(
        self,
        length: int,
        num_rows: int,
        index: int,
        seed: int = 0,
        *,
        shortest: int | None = None,
        split: Split = "train",
    ) -> Batch:
        """Training: batch `index` counted through epochs, a function of (seed, epoch). Else: in the file's order."""
        self.check_length(length)
        if shortest is not None:
            self.check_length(shortest)
        pixels, labels = self._test if split == "test" else self._train
        if split == "train":
            epoch, place = divmod(index, NUM_TRAIN // num_rows)
            order = np.random.default_rng([seed, epoch]).permutation(NUM_TRAIN)
            chosen = torch.from_numpy(order[place * num_rows : (place + 1) * num_rows])
        else:
            first = NUM_TRAIN if split == "validation" else 0
            chosen = torch.arange(first, len(labels))[index * num_rows : (index + 1) * num_rows]
        return Batch(Ragged.from_padded(pixels[chosen].unsqueeze(-1)), labels[chosen])

    @cached_property
    def _train(self) -> tuple[Tensor, Tensor]:
        return self._read("train")

    @cached_property
    def _test(self) -> tuple[Tensor, Tensor]:
        return self._read("test")

    def _read(self, split: str) -> tuple[Tensor, Tensor]:
        """Pixels (images, 784), standardised and in order, and labels."""
        images = find("mnist", split)
        pixels, labels = read_idx(images), read_idx(labels_beside(images))
        flat = torch.from_numpy(pixels.reshape(len(pixels), -1).copy())
        if self.permuted:
            flat = flat[:, torch.from_numpy(np.random.default_rng(PERMUTATION_SEED).permutation(flat.shape[1]))]
        return (flat.float() / 255 - _MEAN) / _DEVIATION, torch.from_numpy(labels.astype(np.int64))
