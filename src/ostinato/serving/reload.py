"""A run whose files change is served with its new weights; sessions that live stay on theirs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from ostinato.errors import OstinatoError
from ostinato.serving.engine import Engine
from ostinato.serving.house import House
from ostinato.serving.served import Served, weights_of
from ostinato.training.run_folder import DECISIONS_FILE, FEATURES_FILE, MODEL_FILE, SUMMARY_FILE

_LOG = logging.getLogger("ostinato.serving")
_EVERY_S = 1.0
_FILES = (MODEL_FILE, FEATURES_FILE, DECISIONS_FILE, SUMMARY_FILE)

Reopen = Callable[[str, Path], Served]


async def watch(house: House, reopen: Reopen) -> None:
    """Look at the files of all runs again and again, until cancelled.

    Args:
        house: what is served; changed where a run has changed.
        reopen: opens a run to serve it, by its name and folder.
    """
    seen = {name: _stamps(served.run.folder) for name, served in house.served.items()}
    while True:
        await asyncio.sleep(_EVERY_S)
        for name, served in list(house.served.items()):
            stamps = _stamps(served.run.folder)
            if stamps != seen.setdefault(name, stamps):
                seen[name] = stamps
                await _renew(house, served, reopen)
            await _retire(house.served[name])


async def _renew(house: House, served: Served, reopen: Reopen) -> None:
    try:
        if await asyncio.to_thread(weights_of, served.run.folder) == served.weights:
            return
        new = await served.work(reopen, served.name, served.run.folder)
    except Exception as error:  # noqa: BLE001 (a run that is being written: it is looked at again when it changes)
        _LOG.warning("%s has changed and can't be opened: %s: %s", served.name, type(error).__name__, error)
        return
    new.older = [*([served.engine] if served.engine is not None else []), *served.older]
    if new.engine is not None:
        new.engine.start()
    house.served[served.name] = new
    _LOG.warning("%s is served with new weights; %d sessions stay on theirs", served.name, _count(new))


async def _retire(served: Served) -> None:
    """End what computes for nobody any more."""
    for engine in list(served.older):
        if not engine.waiting and not await asyncio.to_thread(_is_used, engine):
            served.older.remove(engine)
            await asyncio.to_thread(engine.stop)


def _is_used(engine: Engine) -> bool:
    try:
        return engine.sessions.live.in_use > 0
    except OstinatoError:  # a store that doesn't answer now
        return True


def _count(served: Served) -> int:
    return sum(len(engine.sessions.live) for engine in served.older)


def _stamps(folder: Path) -> list[tuple[int, int] | None]:
    """Of each file when it was written, and how long it is."""
    found = list[tuple[int, int] | None]()
    for name in _FILES:
        try:
            about = (folder / name).stat()
            found.append((about.st_mtime_ns, about.st_size))
        except OSError:
            found.append(None)
    return found
