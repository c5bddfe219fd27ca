"""Sessions in a file of SQLite: what was acknowledged is there after kill -9, and after the power has failed."""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from ostinato.errors import RecipeError
from ostinato.serving.history import changes, did_bytes, did_of
from ostinato.serving.session import Chunk, Event, Sampler, Session
from ostinato.serving.stores import Change, Store

_LOG = logging.getLogger("ostinato.serving")
_TABLES = """
CREATE TABLE IF NOT EXISTS sessions (
  id TEXT PRIMARY KEY, model TEXT, weights TEXT, owner TEXT, created REAL, used REAL, dtype TEXT, state BLOB,
  steps INTEGER, sequence INTEGER, seed TEXT, drawn INTEGER, ended INTEGER, asked BLOB, answer BLOB);
CREATE TABLE IF NOT EXISTS chunks (
  id TEXT, start INTEGER, state BLOB, seed TEXT, drawn INTEGER, PRIMARY KEY (id, start)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
  id TEXT, start INTEGER, number INTEGER, num_steps INTEGER, did BLOB,
  PRIMARY KEY (id, start, number)) WITHOUT ROWID;
"""
_SESSION = "INSERT OR REPLACE INTO sessions VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
_CHUNK = "INSERT OR REPLACE INTO chunks VALUES (?,?,?,?,?)"
_EVENT = "INSERT OR REPLACE INTO events VALUES (?,?,?,?,?)"


class SqliteStore(Store):
    """Writes what a micro-batch changed in one transaction, which the disk has before anything is answered.

    Args:
        file: made if it isn't there; several models may share it.
        model: whose sessions are kept here.
        weights: checksum of its weights; sessions of other weights stay in the file, aside.

    Raises:
        RecipeError: if another server has it, or it can't be used.
    """

    def __init__(self, file: Path, model: str, weights: str) -> None:
        self._model, self._weights = model, weights
        self._lock = _locked(file.with_name(f"{file.name}.{model}.{weights[:12]}.lock"))
        try:
            self._db = sqlite3.connect(file, timeout=30, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except sqlite3.Error as error:
            os.close(self._lock)
            raise RecipeError(f"`--store` must name a file of SQLite. Received: {file}: {error}.") from error

    def load(self) -> Iterator[Session]:
        """The sessions of these weights."""
        others = "SELECT count(*) FROM sessions WHERE model = ? AND weights != ?"
        if aside := self._db.execute(others, (self._model, self._weights)).fetchone()[0]:
            _LOG.warning("%d sessions of other weights of %s are not taken up", aside, self._model)
        mine = "SELECT * FROM sessions WHERE model = ? AND weights = ? ORDER BY used"
        for row in self._db.execute(mine, (self._model, self._weights)).fetchall():
            id, _, _, owner, created, _, dtype, state, steps, sequence, seed, drawn, ended, asked, answer = row
            sampler, kept = Sampler(int(seed), drawn), np.frombuffer(state, dtype).copy()
            chunks = tuple(self._chunks(id, dtype))
            yield Session(id, owner, created, kept, steps, sequence, sampler, chunks, bool(ended), asked, answer)

    def _chunks(self, id: str, dtype: str) -> Iterator[Chunk]:
        for start, state, seed, drawn in self._db.execute(
            "SELECT start, state, seed, drawn FROM chunks WHERE id = ? ORDER BY start", (id,)
        ).fetchall():
            found = self._db.execute(
                "SELECT num_steps, did FROM events WHERE id = ? AND start = ? ORDER BY number", (id, start)
            )
            events = [Event(num_steps, did_of(did)) for num_steps, did in found]
            yield Chunk.of(start, np.frombuffer(state, dtype).copy(), Sampler(int(seed), drawn), events)

    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """One transaction."""
        if not changed and not ended:
            return
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for table in ("sessions", "chunks", "events"):
                self._db.executemany(f"DELETE FROM {table} WHERE id = ?", [(id,) for id in ended])
            self._db.executemany(_SESSION, [self._row(session, used) for session, _, used in changed])
            for session, old, _ in changed:
                self._write_history(session, old)
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise

    def _row(self, one: Session, used: float) -> tuple[object, ...]:
        about = (one.id, self._model, self._weights, one.owner, one.created, used, one.state.dtype.str)
        stands = (one.state.tobytes(), one.steps, one.sequence, str(one.sampler.seed), one.sampler.drawn)
        return (*about, *stands, int(one.ended), one.asked, one.answer)

    def _write_history(self, session: Session, old: Session | None) -> None:
        id, found = session.id, changes(session, old)
        self._db.executemany("DELETE FROM chunks WHERE id = ? AND start = ?", [(id, n) for n in found.lost_chunks])
        lost = [(id, start, number) for start, number in found.lost_events]
        self._db.executemany("DELETE FROM events WHERE id = ? AND start = ? AND number = ?", lost)
        self._db.executemany(
            _CHUNK, [(id, c.start, c.state.tobytes(), str(c.sampler.seed), c.sampler.drawn) for c in found.chunks]
        )
        new = [(id, start, number, event.num_steps, did_bytes(event.did)) for start, number, event in found.events]
        self._db.executemany(_EVENT, new)

    def close(self) -> None:
        """Let others have the file."""
        self._db.close()
        os.close(self._lock)


def _locked(path: Path) -> int:
    """A lock that lasts as long as the process, however it ends."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise RecipeError(f"`{path}` is held by another server, which has these sessions.") from error
    except OSError as error:
        raise RecipeError(f"`--store` must name a file that can be made: {path}: {error.strerror}.") from error
    return descriptor
