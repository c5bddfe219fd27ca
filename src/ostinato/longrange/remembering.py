"""Memory tasks: adding, copy memory, selective copying, delayed recall."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from torch import Tensor

from ostinato.arrays import Array
from ostinato.longrange.task import IGNORE, Task, uniform_nll


class Adding(Task):
    """The sum of the two marked numbers of a long list.

    A step is (value, mark): values uniform in [0, 1), one mark in the first half and one in the second; the target, at
    the end, is the sum of the two marked values. The best guess without memory is 1, with a mean squared error of
    2 Var(U) = 1/6 = 0.167. ``length``: all steps. Solved: error below 0.001.

    Source: S. Hochreiter and J. Schmidhuber, "Long Short-Term Memory", Neural Computation 9 (1997), experiment 4; in
    this form Q. Le, N. Jaitly and G. Hinton (2015), arXiv:1504.00941, section 4.1. Deviation: one mark a half, as in M.
    Arjovsky, A. Shah and Y. Bengio (2016), arXiv:1511.06464, section 5.1, so the distance spans 1 to L - 1.
    """

    name = "adding"
    source: ClassVar[str] = "Hochreiter & Schmidhuber 1997; Le, Jaitly & Hinton 2015"
    num_inputs = 2
    num_outputs = 1
    tokens: ClassVar[bool] = False
    metric: ClassVar[Literal["accuracy", "mse"]] = "mse"
    threshold = 0.001

    def baseline(self, length: int) -> float:
        """1/6, whatever the length."""
        return 1.0 / 6.0

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, max L, 2) and (N,), float32."""
        each = np.arange(len(lengths))
        steps = np.zeros((len(lengths), int(lengths.max()), 2), np.float32)
        steps[..., 0] = random.random(steps.shape[:2], dtype=np.float32)
        half = lengths // 2
        first, second = random.integers(0, half), random.integers(half, lengths)
        steps[each, first, 1] = steps[each, second, 1] = 1.0
        return steps, steps[each, first, 0] + steps[each, second, 0]


class CopyMemory(Task):
    """Ten symbols, a silence of T steps, then the same ten symbols.

    Ids: 0 blank, 1 to 8 symbols, 9 the signal to begin. A row is 10 symbols, T - 1 blanks, the signal, 10 blanks; the
    targets are T + 10 blanks, then the 10 symbols. Every step has a loss; the best without memory is
    10 ln 8 / (T + 20). ``length``: T, of T + 20 steps. Solved: 99 % of the symbols.

    Source: M. Arjovsky, A. Shah and Y. Bengio, "Unitary Evolution Recurrent Neural Networks" (ICML 2016),
    arXiv:1511.06464, section 5.1, after Hochreiter and Schmidhuber (1997).
    """

    name = "copy"
    source: ClassVar[str] = "Arjovsky, Shah & Bengio 2016"
    num_inputs = 10
    num_outputs = 9
    per_step = True
    min_length = 1
    num_symbols: ClassVar[int] = 10

    def baseline(self, length: int) -> float:
        """10 ln 8 / (T + 20)."""
        return 10 * uniform_nll(8) / self.num_steps(length)

    def num_steps(self, length: int) -> int:
        """T + 20."""
        return length + 2 * self.num_symbols

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, max T + 20) twice, int64."""
        shape = (len(lengths), self.num_steps(int(lengths.max())))
        inputs, targets = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        symbols = random.integers(1, 9, (len(lengths), self.num_symbols))
        inputs[:, : self.num_symbols] = symbols
        inputs[np.arange(len(lengths)), lengths + self.num_symbols - 1] = 9
        places = (lengths + self.num_symbols)[:, None] + np.arange(self.num_symbols)
        np.put_along_axis(targets, places, symbols, axis=1)
        return inputs, targets

    def scored(self, targets: Tensor) -> Tensor:
        """The symbols: blanks are no memory."""
        return targets > 0


class SelectiveCopying(Task):
    """Sixteen symbols scattered over noise, to be repeated in order.

    Ids: 0 noise, 1 the signal to say the next symbol, 2 to 15 symbols. A row is T steps of noise with 16 symbols at
    random places, then 16 signals, at which the symbols are the targets. A guess costs ln 14 = 2.64. ``length``: T, of
    T + 16 steps. Solved: 99 % of the symbols.

    Source: A. Gu and T. Dao, "Mamba: Linear-Time Sequence Modeling with Selective State Spaces" (2023),
    arXiv:2312.00752, sections 3.1 and 4.1.1: 16 tokens in 4,096 steps, a vocabulary of 16.
    """

    name = "selective-copy"
    source: ClassVar[str] = "Gu & Dao 2023"
    num_inputs = 16
    num_outputs = 14
    per_step = True
    min_length = 16
    num_symbols: ClassVar[int] = 16

    def baseline(self, length: int) -> float:
        """ln 14."""
        return uniform_nll(14)

    def num_steps(self, length: int) -> int:
        """T + 16."""
        return length + self.num_symbols

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, max T + 16) twice, int64."""
        longest = int(lengths.max())
        order = random.random((len(lengths), longest))
        order[np.arange(longest) >= lengths[:, None]] = np.inf
        places = np.sort(np.argpartition(order, self.num_symbols - 1, axis=1)[:, : self.num_symbols], axis=1)
        symbols = random.integers(2, 16, places.shape)
        shape = (len(lengths), self.num_steps(longest))
        inputs, targets = np.zeros(shape, np.int64), np.full(shape, IGNORE)
        np.put_along_axis(inputs, places, symbols, axis=1)
        signals = lengths[:, None] + np.arange(self.num_symbols)
        np.put_along_axis(inputs, signals, 1, axis=1)
        np.put_along_axis(targets, signals, symbols - 2, axis=1)
        return inputs, targets


class DelayedRecall(Task):
    """Recall of the first symbol of a sequence at its end.

    Ids: 0 to 7 symbols, 8 to 15 distractors, 16 the question. A row is one symbol, T - 2 distractors, the question. A
    guess costs ln 8 = 2.08. ``length``: all steps. Solved: 99 %.

    Source: the latch problem of Y. Bengio, P. Simard and P. Frasconi, "Learning Long-Term Dependencies with Gradient
    Descent is Difficult", IEEE Transactions on Neural Networks 5 (1994), section 3. Deviation: eight classes and
    symbols in place of two and real-valued noise.
    """

    name = "recall"
    source: ClassVar[str] = "Bengio, Simard & Frasconi 1994"
    num_inputs = 17
    num_outputs = 8

    def baseline(self, length: int) -> float:
        """ln 8."""
        return uniform_nll(8)

    def rows(self, random: np.random.Generator, lengths: Array) -> tuple[Array, Array]:
        """(N, max L) and (N,), int64."""
        inputs = random.integers(8, 16, (len(lengths), int(lengths.max())))
        inputs[:, 0] = random.integers(0, 8, len(lengths))
        inputs[np.arange(len(lengths)), lengths - 1] = 16
        return inputs, inputs[:, 0].copy()
