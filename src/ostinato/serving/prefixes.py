"""How sessions begin: states that are known by all that was read before them, so that nobody reads it again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ostinato.tasks.streaming import Steps

_ANSWER_BYTES = 400
"""Of an answer in memory, roughly."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """What a session has read from its beginning up to a step, as a digest; `steps` -1: it is not known."""

    steps: int = -1
    key: bytes = b""

    @classmethod
    def root(cls, owner: str) -> Prefix:
        """Before the first step. Owners share nothing: how fast an answer comes would tell what others have read."""
        return cls(0, hashlib.blake2b(owner.encode(), digest_size=16).digest())

    def then(self, part: Steps) -> Prefix:
        """After some steps more."""
        if self.steps < 0:
            return self
        values = part.values
        digest = hashlib.blake2b(f"{values.dtype.str} {values.shape} ".encode(), digest_size=16, key=self.key)
        digest.update(values.tobytes())
        return Prefix(self.steps + len(part), digest.digest())


UNKNOWN = Prefix()


@dataclass(frozen=True, slots=True)
class _Known:
    state: np.ndarray
    answers: tuple[dict[str, Any], ...] | None

    @property
    def num_bytes(self) -> int:
        return self.state.nbytes + 200 + _ANSWER_BYTES * len(self.answers or ())


class Prefixes:
    """The states after such beginnings; those that were not asked for longest go first.

    Args:
        max_bytes: of memory; 0: none is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes, self.num_bytes = max_bytes, 0
        self.steps = 0
        """That did not have to be read again, so far."""
        self._known = OrderedDict[bytes, _Known]()
        self._taken = set[bytes]()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, prefix: Prefix, num_steps: int, answers: str) -> tuple[np.ndarray, Sequence[dict[str, Any]]] | None:
        """The state after a prefix, and the answers to its last steps, so many as `answers` asks for."""
        found = self._known.get(prefix.key)
        if found is None or (found.answers is None and answers != "none"):
            return None
        self._known.move_to_end(prefix.key)
        self.steps += num_steps
        said = found.answers or ()
        return found.state, {"each": said, "last": said[-1:], "none": ()}[answers]

    def begin(self) -> None:
        """Nothing is read now."""
        self._taken.clear()

    def take(self, prefix: Prefix) -> bool:
        """Whether nobody reads it already; who takes it says `put` or `leave`."""
        if prefix.key in self._taken:
            return False
        self._taken.add(prefix.key)
        return True

    def leave(self, prefix: Prefix) -> None:
        """It is not read, after all, or it is there."""
        self._taken.discard(prefix.key)

    def put(self, prefix: Prefix, state: np.ndarray, answers: Sequence[dict[str, Any]] | None) -> None:
        """Keep a state, and, where all of them were asked for, the answers."""
        self.leave(prefix)
        old = self._known.pop(prefix.key, None)
        if old is not None:
            self.num_bytes -= old.num_bytes
            answers = old.answers if answers is None else answers
        new = _Known(state, None if answers is None else tuple(answers))
        self._known[prefix.key] = new
        self.num_bytes += new.num_bytes
        while self.num_bytes > self.max_bytes:
            self.num_bytes -= self._known.popitem(last=False)[1].num_bytes
