"""Steps that a session reads, cut where states are kept; what another session has read before it is not read again."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, Literal

import numpy as np

from ostinato.serving.prefixes import UNKNOWN, Prefix, Prefixes
from ostinato.serving.session import Depth, Event, Session
from ostinato.tasks.intervening import active, later, steps_alike
from ostinato.tasks.streaming import Read, Reading, Steps

Answers = Literal["each", "last", "none"]
Asking = Generator[Reading | None, Any, tuple[Session, list[dict[str, Any]]]]
"""Yields None where it waits for what is read at the same time."""


def read_steps(session: Session, steps: Steps, answers: Answers, depth: Depth, prefixes: Prefixes) -> Asking:
    """The session after some steps, and the answers that are asked for."""
    said, at = list[dict[str, Any]](), 0
    while at < len(steps):
        some = min(session.room(depth), len(steps) - at)
        if steps.edits:
            edits = later(steps.edits, at)
            some = steps_alike(edits, some)
            part = Steps(steps.values[at : at + some], active(edits))
        else:
            part = steps if some == len(steps) else steps.cut(at, at + some)
        at += some
        asked: Answers = answers if at == len(steps) or answers == "each" else "none"
        shared = some == depth.every and prefixes.max_bytes and not part.edits
        prefix = _begin(session, session.steps).then(part) if shared else UNKNOWN
        state, told = yield from _read(Reading(part, session.state, asked), prefix, prefixes)
        known = prefix if prefix.steps > 0 else None
        session = session.after(Event(some, part), state, session.sampler, depth, known)
        if known is None and session.steps % depth.every == 0 and prefixes.max_bytes:
            session = session.known_by(_of_chunk(session))
        said += told
    return session, said


def _read(
    reading: Reading, prefix: Prefix, prefixes: Prefixes
) -> Generator[Reading | None, Read, tuple[np.ndarray, Sequence[dict[str, Any]]]]:
    if prefix.steps < 0:
        found = yield reading
        return own(found.state), found.answers
    while True:
        if (known := prefixes.find(prefix, len(reading.steps), reading.answers)) is not None:
            return known
        if prefixes.take(prefix):
            break
        yield None
    try:
        found = yield reading
    finally:
        prefixes.leave(prefix)
    state = own(found.state)
    prefixes.put(prefix, state, found.answers if reading.answers == "each" else None)
    return state, found.answers


def _begin(session: Session, step: int) -> Prefix:
    """What is known of all that was read until a step."""
    if step == 0:
        return Prefix.root(session.owner)
    return session.prefix if session.prefix.steps == step else UNKNOWN


def _of_chunk(session: Session) -> Prefix:
    """After a chunk that was read in several pieces."""
    chunk = session.chunks[-1] if session.chunks else None
    if chunk is None or len(chunk.events) != 1 or not isinstance(did := chunk.events[0].did, Steps) or did.edits:
        return UNKNOWN
    return _begin(session, chunk.start).then(did)


def own(state: np.ndarray) -> np.ndarray:
    """The state in memory of its own: a row of a batch would keep the whole batch."""
    return state if state.base is None else state.copy()
