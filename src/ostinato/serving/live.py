"""Which sessions live: found, changed together or not at all, and ended by age, idleness or memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from ostinato.serving.refused import RefusedError, unknown_session
from ostinato.serving.session import Session
from ostinato.serving.stores import Store

_MOST_REMEMBERED = 10_000
"""Ended sessions whose reason is still known."""


@dataclass(frozen=True)
class Limits:
    """What sessions may take.

    Args:
        max_sessions: that live at once; a further one is refused.
        max_sessions_each: of one owner.
        max_bytes: of memory, of all; beyond it the least recently used end.
        idle_s: a session that is not used for so long ends.
        max_age_s: a session ends so long after it was made.
        max_steps: of one request.
    """

    max_sessions: int = 100_000
    max_sessions_each: int = 100_000
    max_bytes: int = 2 << 30
    idle_s: float = 3600.0
    max_age_s: float = 7 * 86400.0
    max_steps: int = 100_000


@dataclass(frozen=True)
class Ended:
    """A session that has ended by itself: `reason` is `idle`, `age` or `memory`."""

    session: str
    owner: str
    reason: str


_WHY = {
    "idle": "it ended because nobody used it",
    "age": "it ended because it had reached its age",
    "memory": "it ended because others needed its memory",
    "deleted": "it was deleted",
}


class LiveSessions:
    """The sessions of one model. What is changed between two commits is kept by the store as a whole, or undone.

    Args:
        store: where they are kept.
        limits: what they may take.
        clock: seconds.
        on_ended: called after a commit for each session that ended by itself.
    """

    def __init__(self, store: Store, limits: Limits, clock: Callable[[], float], on_ended: Callable[[Ended], None]):
        self.limits = limits
        self._store, self._clock, self._on_ended = store, clock, on_ended
        self._live: OrderedDict[str, Session] = OrderedDict()
        self._by_age = deque[tuple[float, str]]()
        self._used = dict[str, float]()
        self._of_owner = dict[str, int]()
        self._gone: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._before = dict[str, Session | None]()
        self._ended = list[Ended]()
        self.num_bytes = 0
        for session in store.load():  # nobody could use them while there was no server: they were used now
            self._set(session.id, session)
        self._by_age.extend(sorted((session.created, id) for id, session in self._live.items()))
        self._before.clear()

    def __contains__(self, session: str) -> bool:
        return session in self._live

    def __len__(self) -> int:
        return len(self._live)

    def facts_of(self, owner: str) -> list[dict[str, Any]]:
        """Of each session of an owner, the least recently used first."""
        return [session.facts for session in self._live.values() if session.owner == owner]

    def refresh(self, sessions: Collection[str]) -> None:
        """Look at what others have made of sessions since the last commit: nobody else has them."""

    @property
    def waits(self) -> bool:
        """Whether `commit` waits for a disk or another machine."""
        return self._store.waits

    @property
    def in_use(self) -> int:
        """Sessions that live, here and at other servers of the same store."""
        return len(self)

    def find(self, owner: str, session: str) -> Session:
        """A live session, which is used now.

        Raises:
            RefusedError: if there is none of that id and owner; 410 while it is known how it ended.
        """
        found = self._live.get(session)
        if found is None or found.owner != owner:
            whose, reason = self._gone.get(session, ("", ""))
            if reason and whose == owner:
                raise RefusedError(
                    410, f"a live session was expected. Received: {session!r}; {_WHY[reason]}.", reason=reason
                )
            raise unknown_session(session)
        now = self._clock()
        if reason := self._over(found, now):
            self._end(found, reason)
            return self.find(owner, session)
        self._used[session] = now
        self._live.move_to_end(session)
        return found

    def check_room(self, owner: str) -> None:
        """Raises `RefusedError` if there may be no further session of this owner."""
        self.expire()
        self._check_room(len(self._live), self._of_owner.get(owner, 0))

    def _check_room(self, live: int, of_owner: int) -> None:
        each, most = self.limits.max_sessions_each, self.limits.max_sessions
        if of_owner >= each:
            raise RefusedError(
                429, f"a token has at most {each:,} live sessions.", hint="delete sessions that have ended"
            )
        if live >= most:
            raise RefusedError(
                503, f"there are at most {most:,} live sessions.", hint="try again when others have ended"
            )

    def put(self, session: Session) -> None:
        """Keep a new session, or a later state of one."""
        if session.id not in self._live:
            self._by_age.append((session.created, session.id))
        self._set(session.id, session)
        self._used[session.id] = self._clock()
        self._live.move_to_end(session.id)

    def drop(self, session: Session) -> None:
        """End a session because its owner wants that."""
        self._set(session.id, None)
        self._remember(session.id, session.owner, "deleted")

    def expire(self) -> None:
        """End what is over, and, where memory is short, what was not used for longest."""
        now = self._clock()
        while self._live and (reason := self._over(first := next(iter(self._live.values())), now)):
            self._end(first, reason)
        while self._by_age and now - self._by_age[0][0] >= self.limits.max_age_s:
            if old := self._live.get(self._by_age.popleft()[1]):
                self._end(old, "age")
        while self.num_bytes > self.limits.max_bytes and len(self._live) > 1:
            self._end(next(iter(self._live.values())), "memory")

    def commit(self) -> None:
        """Have the store keep all changes since the last commit; if it can't, they are undone and its error raised."""
        if self.num_bytes > self.limits.max_bytes:
            self.expire()
        before = self._before
        changed = [(self._live[id], old, self._used[id]) for id, old in before.items() if id in self._live]
        try:
            self._store.commit(changed, [id for id in before if id not in self._live])
        except BaseException:
            self.undo()
            raise
        ended, self._ended, self._before = self._ended, [], {}
        for each in ended:
            self._on_ended(each)

    def undo(self) -> None:
        """Back to the last commit."""
        for id, session in list(self._before.items()):
            self._set(id, session)
            if session is not None:
                self._gone.pop(id, None)
        self._before, self._ended = {}, []

    def close(self) -> None:
        """No further change will come."""
        self._store.close()

    def _over(self, session: Session, now: float) -> str:
        if now - session.created >= self.limits.max_age_s:
            return "age"
        return "idle" if now - self._used[session.id] >= self.limits.idle_s else ""

    def _end(self, session: Session, reason: str) -> None:
        self._set(session.id, None)
        self._remember(session.id, session.owner, reason)
        self._ended.append(Ended(session.id, session.owner, reason))

    def _remember(self, id: str, owner: str, reason: str) -> None:
        self._gone[id] = (owner, reason)
        while len(self._gone) > _MOST_REMEMBERED:
            self._gone.popitem(last=False)

    def _set(self, id: str, session: Session | None) -> None:
        """Replace, add or remove a session, noting what was there at the last commit."""
        old = self._live.pop(id, None) if session is None else self._live.get(id)
        self._before.setdefault(id, old)
        if old is not None and session is not None and old.owner == session.owner:
            self.num_bytes += session.num_bytes - old.num_bytes
            self._live[id] = session
            return
        if old is not None:
            self.num_bytes -= old.num_bytes
            self._of_owner[old.owner] -= 1
            if not self._of_owner[old.owner]:
                del self._of_owner[old.owner]
        if session is None:
            self._used.pop(id, None)
            return
        self._live[id] = session
        self._used.setdefault(id, self._clock())
        self.num_bytes += session.num_bytes
        self._of_owner[session.owner] = self._of_owner.get(session.owner, 0) + 1
