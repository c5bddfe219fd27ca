"""Where sessions are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from ostinato.serving.session import Session

Change = tuple[Session, Session | None, float]
"""A session, what it was at the last commit (None: it is new), and when it was used."""


class Store(ABC):
    """Keeps the sessions of one model beyond the process."""

    waits: ClassVar[bool] = True
    """Whether `commit` waits for a disk or another machine."""

    @abstractmethod
    def load(self) -> Iterable[Session]:
        """The sessions that are kept, the least recently used first."""

    @abstractmethod
    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """Keep all of it, or raise and keep none."""

    @abstractmethod
    def close(self) -> None:
        """No further commit will come."""


@dataclass(frozen=True)
class Gone:
    """A session that has ended: whose it was, and how: `idle`, `age` or `deleted`."""

    owner: str
    reason: str


class ChangedError(Exception):
    """Another server has changed one of the sessions meanwhile; nothing was kept."""


class SharedStore(Store):
    """Keeps sessions that several servers change at the same time, and ends those that are over by itself.

    `commit` raises `ChangedError` where a session is no longer at the sequence number that it was changed from.
    """

    @abstractmethod
    def fetch(self, known: Mapping[str, int | None], *, use: bool = True) -> dict[str, Session | Gone | None]:
        """Sessions as they are now, without those that stand at the sequence number that is known of them.

        Args:
            known: the sequence number by id; None: not known at all.
            use: those that live are used now; else they are only looked at.
        """

    @abstractmethod
    def facts(self, owner: str) -> list[dict[str, Any]]:
        """Of each live session of an owner (`Session.facts`)."""

    @abstractmethod
    def count(self, owner: str) -> tuple[int, int]:
        """Live sessions, of all and of an owner."""


class MemoryStore(Store):
    """Keeps nothing beyond the process: sessions live as long as the server does."""

    waits = False

    def load(self) -> Iterable[Session]:
        """None."""
        return ()

    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to do."""
