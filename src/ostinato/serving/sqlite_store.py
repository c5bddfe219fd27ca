"""Sessions in a file of SQLite: what was acknowledged is there after kill -9, and after the power has failed."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ostinato.errors import RecipeError
from ostinato.serving.session import Chunk, Draw, Event, Sampler, Session
from ostinato.serving.stores import Change, Store
from ostinato.tasks.streaming import Steps

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
            events = [Event(num_steps, _did(did)) for num_steps, did in found]
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
        """What of the history is new; chunks that are the same objects are there already."""
        before = {} if old is None else {chunk.start: chunk for chunk in old.chunks}
        now = {chunk.start for chunk in session.chunks}
        gone = [(session.id, start) for start in before if start not in now]
        for chunk in session.chunks:
            known = before.get(chunk.start)
            if known is chunk:
                continue
            kept = _common(known, chunk)
            if known is None or known.state is not chunk.state:
                sampler = chunk.sampler
                row = (session.id, chunk.start, chunk.state.tobytes(), str(sampler.seed), sampler.drawn)
                self._db.execute(_CHUNK, row)
            if known is not None and kept < len(known.events):
                self._db.execute(
                    "DELETE FROM events WHERE id = ? AND start = ? AND number >= ?", (session.id, chunk.start, kept)
                )
            self._db.executemany(
                _EVENT,
                [
                    (session.id, chunk.start, number, event.num_steps, _bytes(event.did))
                    for number, event in enumerate(chunk.events[kept:], kept)
                ],
            )
        for table in ("chunks", "events") if gone else ():
            self._db.executemany(f"DELETE FROM {table} WHERE id = ? AND start = ?", gone)

    def close(self) -> None:
        """Let others have the file."""
        self._db.close()
        os.close(self._lock)


def _common(one: Chunk | None, other: Chunk) -> int:
    """How many events both begin with."""
    pairs: Iterable[tuple[Event, Event]] = () if one is None else zip(one.events, other.events, strict=False)
    count = 0
    for old, new in pairs:
        if old is not new:
            break
        count += 1
    return count


def _bytes(did: Steps | Draw) -> bytes:
    if isinstance(did, Steps):
        return b"S" + did.to_bytes()
    how = [str(did.sampler.seed), did.sampler.drawn, did.temperature, did.top_k, did.top_p]
    return b"D" + json.dumps(how).encode()


def _did(saved: bytes) -> Steps | Draw:
    if saved[:1] == b"S":
        return Steps.from_bytes(saved[1:])
    seed, drawn, temperature, top_k, top_p = json.loads(saved[1:])
    return Draw(Sampler(int(seed), drawn), temperature, top_k, top_p)


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
