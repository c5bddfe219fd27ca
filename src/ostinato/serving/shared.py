"""Sessions that several servers have: kept by the store, and here as long as there is room for them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from typing import Any

from ostinato.serving.live import Ended, Limits, LiveSessions
from ostinato.serving.session import Session
from ostinato.serving.stores import Gone, SharedStore


class SharedSessions(LiveSessions):
    """What is here is a copy, which `refresh` renews before it is used. The store ends sessions by age and idleness;
    where memory is short here, copies go and sessions stay.

    Args:
        store, limits, clock, on_ended: as of `LiveSessions`.
    """

    def __init__(
        self, store: SharedStore, limits: Limits, clock: Callable[[], float], on_ended: Callable[[Ended], None]
    ) -> None:
        super().__init__(store, limits, clock, on_ended)
        self._shared = store
        self._counted = dict[str, tuple[int, int]]()

    @property
    def in_use(self) -> int:
        return self._shared.count("")[0]

    def facts_of(self, owner: str) -> list[dict[str, Any]]:
        return self._shared.facts(owner)

    def refresh(self, sessions: Collection[str]) -> None:
        self._counted.clear()
        self._look(sessions, use=True)

    def check_room(self, owner: str) -> None:
        live, of_owner = self._counted.get(owner) or self._shared.count(owner)
        self._check_room(live, of_owner)
        self._counted[owner] = (live + 1, of_owner + 1)

    def expire(self) -> None:
        """Let go of what is over, and of copies that there is no room for; those with changes stay."""
        now = self._clock()
        over = set(itertools.takewhile(lambda id: self._over(self._live[id], now), self._live))
        while self._by_age and now - self._by_age[0][0] >= self.limits.max_age_s:
            over.add(self._by_age.popleft()[1])
        over = {id for id in over if id in self._live and id not in self._before}
        if over:
            self._look(over, use=False)
        if self.num_bytes > self.limits.max_bytes:
            over |= self._beyond_room()
        for id in over & self._live.keys():
            self._replace(id, None)

    def _beyond_room(self) -> set[str]:
        """The least recently used copies that memory is too short for."""
        found, left = set[str](), self.num_bytes
        for id, session in itertools.islice(self._live.items(), len(self._live) - 1):
            if left > self.limits.max_bytes and id not in self._before:
                found.add(id)
                left -= session.num_bytes
        return found

    def _look(self, sessions: Collection[str], *, use: bool) -> None:
        known = {id: one.sequence if (one := self._live.get(id)) else None for id in sessions}
        found, now = self._shared.fetch(known, use=use), self._clock()
        for id, there in found.items():
            here = self._live.get(id)
            self._replace(id, there if isinstance(there, Session) else None)
            if isinstance(there, Gone):
                self._remember(id, there.owner, there.reason)
                if here is not None and there.reason != "deleted":
                    self._ended.append(Ended(id, there.owner, there.reason))
        for id in known:
            if id in self._live:
                self._used[id] = now

    def _replace(self, id: str, session: Session | None) -> None:
        """Have another copy, or none: that is no change of the session."""
        if session is not None and id not in self._live:
            self._by_age.append((session.created, id))
        self._set(id, session)
        del self._before[id]
