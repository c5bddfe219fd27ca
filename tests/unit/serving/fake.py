"""A model of an Elman step in numpy, which reads and writes small numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ostinato.errors import RowError
from ostinato.serving.live import Ended, Limits
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.stores import Store
from ostinato.tasks.signature import TensorSpec
from ostinato.tasks.streaming import Read, Reading, Steps, Writing, WritingModel, Written

UNITS, TOKENS = 6, 7
END = TOKENS - 1


class Elman(WritingModel):
    """h' = tanh(W h + U[token]); the answer is its first unit; what it writes ends with the last token."""

    states = (TensorSpec("layer.0.h", "float32", (4,)), TensorSpec("layer.1.h", "float32", (2,)))
    dtype = np.dtype("float32")

    def __init__(self, seed: int = 0) -> None:
        random = np.random.default_rng(seed)
        self.W = random.normal(size=(UNITS, UNITS)).astype("float32")
        self.U = random.normal(size=(TOKENS, UNITS)).astype("float32")
        self.V = random.normal(size=(TOKENS, UNITS)).astype("float32")
        self.batches = list[int]()

    def zero(self) -> np.ndarray:
        return np.zeros(UNITS, "float32")

    def encode(self, given: Any) -> Steps:
        tokens = given if isinstance(given, list) else [given]
        if not all(isinstance(one, int) and 0 <= one < TOKENS for one in tokens):
            raise RowError(f"`inputs` must be tokens below {TOKENS}. Received: {given!r}.")
        return Steps(np.array(tokens, "int32"))

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        self.batches.append(len(batch))
        return [self._read(one) for one in batch]

    def _read(self, one: Reading) -> Read:
        state, said = one.state, []
        for token in one.steps.values:
            state = np.tanh(self.W @ state + self.U[token])
            said.append(self.peek(state))
        kept = {"each": said, "last": said[-1:], "none": []}[one.answers]
        return Read(state, kept)

    def peek(self, state: np.ndarray) -> dict[str, Any]:
        return {"value": float(state[0])}

    def write(self, batch: Sequence[Writing]) -> list[Written]:
        return [self._write(one) for one in batch]

    def _write(self, one: Writing) -> Written:
        state, pieces, drawn = one.state, list[int](), one.drawn
        for _ in range(one.max_new_tokens):
            scores = self.V @ state / one.temperature
            shares = np.exp(scores - scores.max())
            token = int(np.searchsorted(np.cumsum(shares / shares.sum()), _uniform(one.seed, drawn)))
            drawn += 1
            if token == END:
                return Written(state, Steps(np.array(pieces, "int32")), list(pieces), drawn, True)
            pieces.append(token)
            state = np.tanh(self.W @ state + self.U[token])
        return Written(state, Steps(np.array(pieces, "int32")), list(pieces), drawn, False)


def _uniform(seed: int, drawn: int) -> float:
    return float(np.random.default_rng([seed, drawn]).random()) * 0.999


@dataclass
class Clock:
    """A clock that a test sets."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    """Sessions of the small model, what they are made of, and those that ended by themselves."""

    sessions: Sessions
    model: Elman
    clock: Clock
    ended: list[Ended] = field(default_factory=list)
    on_ended: Callable[[Ended], None] | None = None

    def end(self, ended: Ended) -> None:
        """A session has ended by itself."""
        self.ended.append(ended)
        if self.on_ended is not None:
            self.on_ended(ended)


def bench(
    store: Store | None = None,
    limits: Limits | None = None,
    depth: Depth | None = None,
    *,
    weights: str = "w0",
    key: bytes = b"key",
    make: Callable[[], Elman] = Elman,
    clock: Clock | None = None,
    shared_bytes: int = 1 << 20,
) -> Bench:
    """Sessions to try."""
    model, clock = make(), clock or Clock()
    seal = Seal(model, weights, "language_model", key)
    made = list[Bench]()
    sessions = Sessions(
        model,
        seal,
        store,
        limits,
        depth,
        clock=clock,
        on_ended=lambda ended: made[0].end(ended),
        shared_bytes=shared_bytes,
    )
    made.append(Bench(sessions, model, clock))
    return made[0]
