"""Every operation on the sessions of one model, as generators that ask for readings and writings."""

from __future__ import annotations

import base64
import functools
import secrets
from collections.abc import Callable, Generator, Mapping, Sized
from dataclasses import replace
from typing import Any, Concatenate, NamedTuple, ParamSpec

import numpy as np

from ostinato.serving.json_text import json_bytes
from ostinato.serving.live import LiveSessions
from ostinato.serving.numbered import again, check_going, digest, steps_named
from ostinato.serving.prefixes import Prefixes
from ostinato.serving.reading import Answers, Asking, own, read_steps
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth, Draw, Event, Sampler, Session
from ostinato.serving.snapshot import Seal
from ostinato.tasks.intervening import Edit, Intervene, active, edits_of, later, steps_alike
from ostinato.tasks.streaming import Read, Reading, Steps, StreamingModel, Writing, WritingModel, Written

P = ParamSpec("P")
_MOST_CHANGED = 64
"""Models with units or gates changed that are kept."""
_SMALL = 64
"""Steps of an operation that takes a moment."""
_LONGEST_ID = 100
Work = Generator[Reading | Writing | None, Any, Any]


class Operation(NamedTuple):
    """What is to be done, and on which session (None: a new one, or none); work on one session goes in order. It is
    begun again where another server has changed the session meanwhile. `small`: it takes a moment."""

    session: str | None
    begin: Callable[[], Work]
    small: bool = False


def _on_none(
    work: Callable[Concatenate[Operations, P], Work],
) -> Callable[Concatenate[Operations, P], Operation]:
    @functools.wraps(work)
    def made(self: Operations, /, *args: P.args, **kwargs: P.kwargs) -> Operation:
        return Operation(None, lambda: work(self, *args, **kwargs))

    return made


def _on_one(
    work: Callable[Concatenate[Operations, str, str, P], Work],
) -> Callable[Concatenate[Operations, str, str, P], Operation]:
    @functools.wraps(work)
    def made(self: Operations, owner: str, session: str, /, *args: P.args, **kwargs: P.kwargs) -> Operation:
        return Operation(session, lambda: work(self, owner, session, *args, **kwargs))

    return made


class Operations:
    """Operations on live sessions. Each method returns an `Operation`, whose result is JSON or a snapshot, in bytes.

    Args:
        model: read and written with.
        seal: makes and opens snapshots.
        live: the sessions.
        depth: how far back they go.
        clock: seconds.
        check: raises for inputs that must not reach the model.
        prefixes: how sessions have begun.
    """

    def __init__(
        self,
        model: StreamingModel,
        seal: Seal,
        live: LiveSessions,
        depth: Depth,
        clock: Callable[[], float],
        check: Callable[[Any], object],
        prefixes: Prefixes,
    ) -> None:
        self.model, self.live, self.prefixes = model, live, prefixes
        self._seal, self._depth, self._clock, self._check = seal, depth, clock, check
        self._mark = f".{seal.weights[:8]}"
        self.changed = functools.lru_cache(_MOST_CHANGED)(model.changed)

    @_on_none
    def create(self, owner: str, seed: int = 0, sample_rate: int | None = None) -> Work:
        """A session before its first step; `sample_rate` says what sound it will be given."""
        yield from ()
        self._check_rate(sample_rate)
        self.live.check_room(owner)
        return self._new(Session(self._new_id(), owner, self._clock(), self.model.zero(), sampler=Sampler(seed)))

    def step(
        self,
        owner: str,
        id: str,
        given: Any,
        answers: Answers = "each",
        sequence: int | None = None,
        intervene: Intervene | None = None,
    ) -> Operation:
        """Read one step or more. The same sequence number again gives the same answer again, and reads nothing."""
        begin = functools.partial(self._step, owner, id, given, answers, sequence, intervene)
        return Operation(id, begin, intervene is None and _size(given) <= _SMALL * self.model.given_a_step)

    def _step(
        self, owner: str, id: str, given: Any, answers: Answers, sequence: int | None, intervene: Intervene | None
    ) -> Work:
        session = self.live.find(owner, id)
        steps = self._steps(given, intervene)
        values = steps.values
        changed = (repr(steps.edits).encode(),) if steps.edits else ()
        asked = digest(steps_named(answers, values.dtype.str, values.shape), values.tobytes(), *changed)
        if again(session, sequence, asked):
            return session.answer
        check_going(session)
        session, said = yield from self._read(session, steps, answers, self._depth)
        return self._done(session, asked, answers=said)

    @_on_one
    def write(
        self,
        owner: str,
        id: str,
        num_tokens: int,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float = 1.0,
        seed: int | None = None,
        sequence: int | None = None,
        alternatives: int = 0,
        intervene: Intervene | None = None,
    ) -> Work:
        """Draw steps and read them; `seed` begins new random numbers; with `alternatives`, so many of what was likely
        are answered for each."""
        session = self.live.find(owner, id)
        edits = self._edits(intervene)
        asked = digest(b"write", repr((num_tokens, temperature, top_k, top_p, seed, alternatives, edits)).encode())
        if again(session, sequence, asked):
            return session.answer
        if not isinstance(self.model, WritingModel):
            raise RefusedError(409, "a model that writes was expected. Received: one that only reads.")
        most = self.live.limits.max_steps
        if not 0 < num_tokens <= most:
            raise RefusedError(422, f"`max_new_tokens` must be from 1 to {most:,}. Received: {num_tokens}.")
        check_going(session)
        sampler = session.sampler if seed is None else Sampler(seed)
        how = Draw(sampler, temperature, top_k, top_p, edits)
        if not alternatives:
            session, pieces = yield from self._draw(session, num_tokens, how)
            return self._done(session, asked, pieces=pieces, ended=session.ended)
        written, likely = list[Any](), list[Any]()
        while len(written) < num_tokens and not session.ended:
            before = self.model.peek(session.state).get("next", [])[:alternatives]
            session, pieces = yield from self._draw(session, 1, how)
            how = how.after(1, session.sampler)
            written += pieces
            likely += [before] * len(pieces)
        return self._done(session, asked, pieces=written, ended=session.ended, likely=likely)

    @_on_one
    def rewind(self, owner: str, id: str, to: int, sequence: int | None = None) -> Work:
        """Go back to the moment after step `to`: from the last kept state, what was read and written again."""
        session = self.live.find(owner, id)
        asked = digest(b"rewind", str(to).encode())
        if again(session, sequence, asked):
            return session.answer
        session, events = self._left(session, None).back(to)
        for event in events:
            if isinstance(event.did, Draw):
                session, _ = yield from self._draw(session, event.num_steps, event.did)
            else:
                found: Read = yield Reading(event.did, session.state, "none")
                session = session.after(event, own(found.state), session.sampler, self._depth)
        return self._done(session, asked)

    @_on_none
    def score(self, given: Any) -> Work:
        """What is answered at each step, from the beginning, without a session."""
        taken = self.model.take(self._steps(given), self.model.zero())
        found: Read = yield Reading(taken.steps, taken.state, "each")
        owed = self.model.finish(self.model.leave(found.state, taken.left))
        return json_bytes({"steps": len(taken.steps), "answers": [*found.answers, *owed]})

    @_on_none
    def carry(self, owner: str, state: bytes, given: Any, answers: Answers, intervene: Intervene | None = None) -> Work:
        """Read steps in a session that whoever asks keeps as a snapshot (none: one that begins)."""
        steps, now = self._steps(given, intervene), self._clock()
        session = Session("", owner, now, self.model.zero())
        session = self._seal.open(state, session, now) if state else session
        check_going(session)
        session, said = yield from self._read(session, steps, answers, Depth(0, len(steps) + session.steps + 1))
        kept = base64.b64encode(self._seal.close(session)).decode()
        return _told(session, {"steps": session.steps, "answers": said, "state": kept})

    @_on_one
    def peek(self, owner: str, id: str) -> Work:
        """The answer as it stands, without a step."""
        yield from ()
        session = self.live.find(owner, id)
        return json_bytes({"session": id, "steps": session.steps, "answer": self.model.peek(session.state)})

    @_on_one
    def finish(self, owner: str, id: str) -> Work:
        """What would still be answered if nothing more came; the session stays as it is."""
        yield from ()
        session = self.live.find(owner, id)
        owed = self.model.finish(session.state)
        return json_bytes({"session": id, "steps": session.steps, "answers": owed})

    @_on_one
    def about(self, owner: str, id: str) -> Work:
        """What is known of a session."""
        yield from ()
        return json_bytes(self.live.find(owner, id).facts)

    @_on_none
    def all_of(self, owner: str) -> Work:
        """What is known of each session of an owner."""
        yield from ()
        return json_bytes({"sessions": self.live.facts_of(owner)})

    @_on_one
    def fork(self, owner: str, id: str) -> Work:
        """A new session that goes on from where this one stands, with its history."""
        yield from ()
        session = self.live.find(owner, id)
        self.live.check_room(owner)
        made = self._new_id()
        return self._new(session._replace(id=made, created=self._clock(), sequence=0, asked=b"", answer=b""))

    @_on_one
    def snapshot(self, owner: str, id: str, lasting_s: float | None = None) -> Work:
        """A session's state as signed bytes, which a server takes for `lasting_s` seconds."""
        yield from ()
        session = self.live.find(owner, id)
        return self._seal.close(session, None if lasting_s is None else self._clock() + lasting_s)

    @_on_none
    def restore(self, owner: str, data: bytes) -> Work:
        """A new session from a snapshot; it goes back no further than that."""
        yield from ()
        self.live.check_room(owner)
        now = self._clock()
        return self._new(self._seal.open(data, Session(self._new_id(), owner, now, self.model.zero()), now))

    @_on_one
    def delete(self, owner: str, id: str) -> Work:
        """End a session."""
        yield from ()
        self.live.drop(self.live.find(owner, id))
        return b""

    def has_made(self, session: str) -> bool:
        """Whether an id is of these weights."""
        return session.endswith(self._mark)

    def may_be(self, session: str) -> bool:
        """Whether an id may be one of ours: no store is asked for others."""
        return len(session) <= _LONGEST_ID and session.isascii()

    def _new_id(self) -> str:
        return secrets.token_urlsafe(16) + self._mark

    def _edits(self, intervene: Intervene | None) -> tuple[Edit, ...]:
        """Raises `OstinatoError` for what can't be changed."""
        edits = edits_of(intervene)
        if edits:
            self.changed(later(edits, max(edit.begin for edit in edits)))
        return tuple(edit for edit in edits if edit.changes)

    def _steps(self, given: Any, intervene: Intervene | None = None) -> Steps:
        self._check(given)
        steps, most = self.model.encode(given), self.live.limits.max_steps
        if not 0 < len(steps) <= most * self.model.given_a_step:
            received = len(steps) // self.model.given_a_step
            raise RefusedError(422, f"from 1 to {most:,} steps in a request were expected. Received: {received:,}.")
        return steps if intervene is None else replace(steps, edits=self._edits(intervene))

    def _left(self, session: Session, left: np.ndarray | None) -> Session:
        """With what was given and makes no whole step."""
        state = self.model.leave(session.state, left)
        return session if state is session.state else session.stands(state)

    def _check_rate(self, received: int | None) -> None:
        expected = self.model.sample_rate
        if received is None or received == expected:
            return
        if expected is None:
            raise RefusedError(422, "`sample_rate` does not apply to a model that isn't given sound.")
        raise RefusedError(
            422,
            f"sound of {expected:,} samples a second was expected: resampling looks ahead. Received: {received:,}.",
            hint=f"ffmpeg -i IN.wav -ac 1 -ar {expected} OUT.wav",
            expected=expected,
        )

    def _read(self, session: Session, given: Steps, answers: Answers, depth: Depth) -> Asking:
        """What is given, and the session that keeps what makes no whole step."""
        taken = self.model.take(given, session.state)
        if taken.state is not session.state:
            session = session.stands(taken.state)
        steps = replace(taken.steps, edits=given.edits) if given.edits else taken.steps
        session, said = yield from read_steps(session, steps, answers, depth, self.prefixes)
        return self._left(session, taken.left), said

    def _draw(self, session: Session, num: int, how: Draw) -> Generator[Writing, Written, tuple[Session, list[Any]]]:
        pieces: list[Any] = []
        while num and not session.ended:
            some, at = steps_alike(how.edits, min(session.room(self._depth), num)), how.sampler
            found = yield Writing(
                session.state, some, how.temperature, how.top_k, how.top_p, at.seed, at.drawn, active(how.edits)
            )
            after = Sampler(at.seed, found.drawn)
            if found.steps:
                session = session.after(Event(len(found.steps), how), own(found.state), after, self._depth)
            session, how = session._replace(sampler=after, ended=found.ended), how.after(some, after)
            pieces += found.pieces
            num -= some
        return session, pieces

    def _new(self, session: Session) -> bytes:
        facts = json_bytes(session.facts)
        self.live.put(session)
        return facts

    def _done(self, session: Session, asked: bytes, **said: Any) -> bytes:
        """Keep what an operation has come to, and its answer."""
        number = session.sequence + 1
        answer = _told(session, {"session": session.id, "sequence": number, "steps": session.steps, **said})
        self.live.put(session.answered(asked, answer))
        return answer


def _told(session: Session, said: dict[str, Any]) -> bytes:
    """What is answered where it and the state are finite: else nothing is kept."""
    try:
        if np.isfinite(session.state).all():
            return json_bytes(said)
        received = "a state with infinities, or what is no number"
    except ValueError as error:
        received = f"{error}"
    raise RefusedError(
        422,
        "steps after which a session's state and answers are finite were expected; the session stays as it was. "
        f"Received: {received}.",
        hint="give smaller numbers, or change less with `intervene`",
    )


def _size(given: Any) -> int:
    """About how many steps are given, or parts of one."""
    if isinstance(given, str | list):
        return len(given)
    parts = given.values() if isinstance(given, Mapping) else (given,)
    return sum(len(part) if isinstance(part, Sized) else 1 for part in parts)
