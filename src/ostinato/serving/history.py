"""What of a session's history is new since it was last kept, and how stores write it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import astuple, dataclass, field, replace
from typing import Any

from ostinato.serving.session import Chunk, Draw, Event, Sampler, Session
from ostinato.tasks.intervening import Edit
from ostinato.tasks.streaming import Steps


@dataclass(frozen=True)
class Changes:
    """From one state of a session to a later one.

    Args:
        lost_chunks: starts of those that are no longer kept.
        lost_events: start of their chunk, and number in it.
        chunks: whose kept state is new.
        events: start of their chunk, number in it, and the event.
    """

    lost_chunks: list[int] = field(default_factory=list)
    lost_events: list[tuple[int, int]] = field(default_factory=list)
    chunks: list[Chunk] = field(default_factory=list)
    events: list[tuple[int, int, Event]] = field(default_factory=list)


def changes(session: Session, old: Session | None) -> Changes:
    """What has changed since `old`; chunks that are the same objects have not."""
    before = {} if old is None else {chunk.start: chunk for chunk in old.chunks}
    now = {chunk.start for chunk in session.chunks}
    found = Changes()
    for start, chunk in before.items():
        if start not in now:
            found.lost_chunks.append(start)
            found.lost_events.extend((start, number) for number in range(len(chunk.events)))
    for chunk in session.chunks:
        known = before.get(chunk.start)
        if known is chunk:
            continue
        kept = _common(known, chunk)
        if known is None or known.state is not chunk.state:
            found.chunks.append(chunk)
        if known is not None:
            lost = range(len(chunk.events), len(known.events))  # those before are written again
            found.lost_events.extend((chunk.start, number) for number in lost)
        found.events.extend((chunk.start, number, event) for number, event in enumerate(chunk.events[kept:], kept))
    return found


def _common(one: Chunk | None, other: Chunk) -> int:
    """How many events both begin with."""
    pairs: Iterable[tuple[Event, Event]] = () if one is None else zip(one.events, other.events, strict=False)
    count = 0
    for old, new in pairs:
        if old is not new:
            break
        count += 1
    return count


def did_bytes(did: Steps | Draw) -> bytes:
    """For `did_of`."""
    edits = json.dumps([astuple(edit) for edit in did.edits]).encode() + b"\n" if did.edits else b""
    if isinstance(did, Steps):
        return (b"C" if edits else b"S") + edits + did.to_bytes()
    how = [str(did.sampler.seed), did.sampler.drawn, did.temperature, did.top_k, did.top_p]
    return (b"W" if edits else b"D") + edits + json.dumps(how).encode()


def did_of(saved: bytes) -> Steps | Draw:
    """What an event was."""
    kind, rest, edits = saved[:1], saved[1:], tuple[Edit, ...]()
    if kind in (b"C", b"W"):
        line, _, rest = rest.partition(b"\n")
        edits = tuple(_edit(*one) for one in json.loads(line))
    if kind in (b"S", b"C"):
        return replace(Steps.from_bytes(rest), edits=edits)
    seed, drawn, temperature, top_k, top_p = json.loads(rest)
    return Draw(Sampler(int(seed), drawn), temperature, top_k, top_p, edits)


def _edit(part: str, units: list[int] | None, scale: float, shift: float, source: Any, begin: int) -> Edit:
    """As JSON has one."""
    whose = None if units is None else tuple(units)
    return Edit(part, whose, scale, shift, None if source is None else tuple(source), begin)
