"""All that a server serves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from threading import Lock

from ostinato.serving.engine import Engine
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Served
from ostinato.wording import meant


class House:
    """All that a server serves.

    Args:
        served: by name.
        more: opens a run that is asked for by name for the first time; None: there is none of that name.
    """

    def __init__(self, served: Mapping[str, Served], more: Callable[[str], Served | None] = lambda _: None) -> None:
        self.served = dict(served)
        self._more, self._lock = more, Lock()

    @property
    def engines(self) -> list[Engine]:
        """All that compute."""
        newest = [served.engine for served in self.served.values() if served.engine is not None]
        return [*newest, *(engine for served in self.served.values() for engine in served.older)]

    async def found(self, name: str) -> Served:
        """As `find`, by an event loop: while a run is opened it answers others."""
        if name in self.served:
            return self.served[name]
        return await asyncio.to_thread(self.find, name)

    def find(self, name: str) -> Served:
        """Raises `RefusedError` for a name that nothing is served by, or `RunError` for a run that can't be opened."""
        if name not in self.served:
            with self._lock:
                opened = None if name in self.served else self._more(name)
                if opened is not None:
                    if opened.engine is not None:
                        opened.engine.start()
                    self.served[name] = opened
        if name not in self.served:
            near = meant(name, self.served)
            there = ", ".join(self.served) or "there is none"
            raise RefusedError(
                404,
                f"the name of a model was expected: {there}. Received: {name[:80]!r}.",
                hint=f"did you mean {near[1]}?" if near else None,
            )
        return self.served[name]
