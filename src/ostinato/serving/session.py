"""One session as a value: its state, what it has read, and how it goes back. Nothing here changes in place."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ostinato.serving.prefixes import UNKNOWN, Prefix
from ostinato.serving.refused import RefusedError
from ostinato.tasks.intervening import Edit, later
from ostinato.tasks.streaming import Steps

_OVERHEAD_BYTES = 64
"""Of each object in memory."""
_SMALL_BYTES = 512


@dataclass(frozen=True, slots=True)
class Sampler:
    """Where a session's random numbers stand: the seed, and how many were drawn from it."""

    seed: int = 0
    drawn: int = 0


@dataclass(frozen=True, slots=True)
class Draw:
    """How steps were written: from the same state, this writes the same again; `edits` are those of these steps."""

    sampler: Sampler
    temperature: float
    top_k: int | None
    top_p: float
    edits: tuple[Edit, ...] = ()

    def after(self, num_steps: int, sampler: Sampler) -> Draw:
        """So many steps later."""
        return Draw(sampler, self.temperature, self.top_k, self.top_p, later(self.edits, num_steps))


class Event(NamedTuple):
    """Steps that a session has read, or how it wrote them."""

    num_steps: int
    did: Steps | Draw

    def first(self, num_steps: int) -> Event:
        """The event cut after so many steps."""
        if num_steps == self.num_steps:
            return self
        return Event(num_steps, self.did if isinstance(self.did, Draw) else self.did.cut(0, num_steps))

    @property
    def num_bytes(self) -> int:
        """In memory."""
        found = 3 * _OVERHEAD_BYTES + (self.did.values.nbytes if isinstance(self.did, Steps) else 0)
        return found + sum(edit.num_bytes for edit in self.did.edits) if self.did.edits else found

    def with_more(self, event: Event) -> Event | None:
        """Both as one, where both were read, as they are, and hold little; else None."""
        one, other = self.did, event.did
        if not isinstance(one, Steps) or not isinstance(other, Steps) or one.edits or other.edits:
            return None
        if one.values.nbytes + other.values.nbytes > _SMALL_BYTES:
            return None
        return Event(self.num_steps + event.num_steps, Steps(np.concatenate((one.values, other.values))))


class Chunk(NamedTuple):
    """A kept state (a checkpoint), what happened from there on, and the bytes that both take."""

    start: int
    state: np.ndarray
    sampler: Sampler
    events: tuple[Event, ...]
    num_bytes: int

    @classmethod
    def of(cls, start: int, state: np.ndarray, sampler: Sampler, events: Iterable[Event] = ()) -> Chunk:
        """A chunk whose bytes are counted."""
        events = tuple(events)
        num_bytes = state.nbytes + _OVERHEAD_BYTES + sum(event.num_bytes for event in events)
        return cls(start, state, sampler, events, num_bytes)

    def then(self, event: Event) -> Chunk:
        """With one event more. Small pieces that are read become one event as they come: an object for each takes many
        times the memory of what it holds."""
        whole = self.events[-1].with_more(event) if self.events else None
        events = (*self.events, event) if whole is None else (*self.events[:-1], whole)
        more = event.num_bytes if whole is None else whole.num_bytes - self.events[-1].num_bytes
        return Chunk(self.start, self.state, self.sampler, events, self.num_bytes + more)

    def closed(self) -> Chunk:
        """The same, with what was read in one go as one event."""
        return Chunk.of(self.start, self.state, self.sampler, joined(self.events))

    def until(self, step: int) -> tuple[Event, ...]:
        """The events that lead from its state to `step`."""
        kept, left = list[Event](), step - self.start
        for event in self.events:
            if left:
                kept.append(event.first(min(left, event.num_steps)))
                left -= kept[-1].num_steps
        return tuple(kept)


@dataclass(frozen=True, slots=True)
class Depth:
    """How far back sessions go.

    Args:
        steps: a session goes back to any of its last so many steps, >= 0.
        every: a state is kept every so many steps, >= 1: going back repeats fewer than that.
    """

    steps: int = 1024
    every: int = 64


class Session(NamedTuple):
    """A session as it stands.

    Args:
        id: unguessable.
        owner: the name of the token that made it.
        created: when, in seconds.
        state: flat; never written to.
        steps: read and written so far.
        sequence: the number of the last operation that changed it.
        sampler: where its random numbers stand.
        chunks: its history, oldest first; the last one reaches to now.
        ended: what it writes has come to its end.
        asked: a digest of the last operation.
        answer: to the last operation, JSON.
        prefix: by which others know that they have read the same.
    """

    id: str
    owner: str
    created: float
    state: np.ndarray
    steps: int = 0
    sequence: int = 0
    sampler: Sampler = Sampler()
    chunks: tuple[Chunk, ...] = ()
    ended: bool = False
    asked: bytes = b""
    answer: bytes = b""
    prefix: Prefix = UNKNOWN

    @property
    def first_step(self) -> int:
        """The earliest step it goes back to."""
        return self.chunks[0].start if self.chunks else self.steps

    @property
    def num_bytes(self) -> int:
        """In memory; what a fork shares counts for both."""
        found: int = self.state.nbytes + len(self.answer) + 8 * _OVERHEAD_BYTES
        for chunk in self.chunks:  # a generator would take three times as long
            found += chunk.num_bytes
        return found

    @property
    def facts(self) -> dict[str, Any]:
        """What its owner learns of it."""
        return {
            "session": self.id,
            "sequence": self.sequence,
            "steps": self.steps,
            "first_step": self.first_step,
            "ended": self.ended,
            "bytes": self.num_bytes,
            "created": self.created,
        }

    def room(self, depth: Depth) -> int:
        """Steps until the next state has to be kept."""
        return depth.every - self.steps % depth.every

    def after(
        self, event: Event, state: np.ndarray, sampler: Sampler, depth: Depth, prefix: Prefix | None = None
    ) -> Session:
        """Having read or written `event`, of no more steps than there is room for; `prefix`: where it is known."""
        steps = self.steps + event.num_steps
        chunks = self.chunks
        if depth.steps:
            if not chunks or self.steps % depth.every == 0:
                chunks = (*chunks, Chunk.of(self.steps, self.state, self.sampler))
            last = chunks[-1].then(event)
            chunks = (*chunks[:-1], last if steps % depth.every else last.closed())
            while len(chunks) > 1 and steps - chunks[1].start >= depth.steps:
                chunks = chunks[1:]
        return Session(
            self.id,
            self.owner,
            self.created,
            state,
            steps,
            self.sequence,
            sampler,
            chunks,
            self.ended,
            self.asked,
            self.answer,
            prefix or self.prefix,
        )

    def stands(self, state: np.ndarray) -> Session:
        """In another state, of which it need not go back to this one."""
        return self._replace(state=state, prefix=UNKNOWN)

    def answered(self, asked: bytes, answer: bytes) -> Session:
        """Having answered its next operation."""
        return Session(
            self.id,
            self.owner,
            self.created,
            self.state,
            self.steps,
            self.sequence + 1,
            self.sampler,
            self.chunks,
            self.ended,
            asked,
            answer,
            self.prefix,
        )

    def known_by(self, prefix: Prefix) -> Session:
        """The same, having read what a prefix says."""
        return self if prefix is self.prefix else self._replace(prefix=prefix)

    def back(self, to: int) -> tuple[Session, tuple[Event, ...]]:
        """The session at the last kept state at or before step `to`, and what leads from there to that step.

        Raises:
            RefusedError: for a step that is not in its history.
        """
        if not self.first_step <= to <= self.steps:
            raise RefusedError(
                422,
                f"`to` must be a step from {self.first_step} to {self.steps}, within what this session keeps. "
                f"Received: {to}.",
                hint="a server started with `--history STEPS` keeps more; a snapshot keeps any moment",
                first_step=self.first_step,
                steps=self.steps,
            )
        if to == self.steps:
            return self, ()
        number = max(n for n, chunk in enumerate(self.chunks) if chunk.start <= to)
        chunk = self.chunks[number]
        at = self._replace(
            state=chunk.state,
            steps=chunk.start,
            sampler=chunk.sampler,
            chunks=self.chunks[:number],
            ended=False,
            prefix=UNKNOWN,
        )
        return at, chunk.until(to)


def joined(events: Sequence[Event]) -> tuple[Event, ...]:
    """The same, with what was read in one go as one event."""
    found = list[Event]()
    for read, some in itertools.groupby(events, lambda event: isinstance(event.did, Steps) and not event.did.edits):
        of_a_kind = list(some)
        found += [_one(of_a_kind)] if read else of_a_kind
    return tuple(found)


def _one(events: list[Event]) -> Event:
    if len(events) == 1:
        return events[0]
    whole = np.concatenate([event.did.values for event in events if isinstance(event.did, Steps)])
    return Event(len(whole), Steps(whole))
