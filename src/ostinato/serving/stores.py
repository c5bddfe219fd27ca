"""Where sessions are kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from ostinato.serving.session import Session

Change = tuple[Session, Session | None, float]
"""A session, what it was at the last commit (None: it is new), and when it was used."""


class Store(ABC):
    """Keeps the sessions of one model beyond the process."""

    @abstractmethod
    def load(self) -> Iterable[Session]:
        """The sessions that are kept, the least recently used first."""

    @abstractmethod
    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """Keep all of it, or raise and keep none."""

    @abstractmethod
    def close(self) -> None:
        """No further commit will come."""


class MemoryStore(Store):
    """Keeps nothing beyond the process: sessions live as long as the server does."""

    def load(self) -> Iterable[Session]:
        """None."""
        return ()

    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to do."""
