"""Sessions in Redis: several servers share them, and what was acknowledged is there before its answer goes out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from ostinato.errors import RecipeError
from ostinato.media.extras import library
from ostinato.serving.history import changes, did_bytes, did_of
from ostinato.serving.live import Limits
from ostinato.serving.redis_scripts import COMMIT, COUNT, FACTS, FETCH
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Chunk, Event, Sampler, Session
from ostinato.serving.stores import Change, ChangedError, Gone, SharedStore

SCHEMES = ("redis", "rediss", "unix")
_REMEMBERED_S = 3600.0
"""How long it is known how a session ended."""
_TIMEOUT_S = 5.0


class RedisStore(SharedStore):
    """A hash for each session, which is changed by a script: all that a micro-batch changed, or nothing of it.

    Args:
        url: `redis://HOST:PORT/DB`, `rediss://…` (TLS) or `unix:///SOCKET`.
        model: whose sessions are kept here.
        weights: checksum of its weights; sessions of other weights stay aside.
        limits: how long sessions live.

    Raises:
        MissingLibraryError: without the library.
        RecipeError: if no Redis answers there.
    """

    def __init__(self, url: str, model: str, weights: str, limits: Limits) -> None:
        redis = library("redis", "--store redis://…", "serve")
        self._error, self._shown = redis.exceptions.RedisError, _without_password(url)
        try:
            # A commit that is sent twice would be done twice: nothing is tried again but a fetch.
            never = redis.retry.Retry(redis.backoff.NoBackoff(), 0)
            self._db = redis.Redis.from_url(
                url, socket_timeout=_TIMEOUT_S, socket_connect_timeout=_TIMEOUT_S, retry=never
            )
            self._db.ping()
        except (self._error, OSError, ValueError) as error:
            raise RecipeError(
                f"`--store` must name a Redis that answers. Received: {self._shown}: {error}.",
                hint="start one: redis-server --appendonly yes --appendfsync always",
            ) from error
        self._fetch, self._commit, self._count, self._facts = (
            self._db.register_script(script) for script in (FETCH, COMMIT, COUNT, FACTS)
        )
        self._key = f"{{ostinato:{model}:{weights[:16]}}}"  # in braces: a cluster keeps all of it on one machine
        self._idle, self._age = round(limits.idle_s * 1000), limits.max_age_s
        self._lives = [self._idle, round(_REMEMBERED_S * 1000)]

    def load(self) -> Iterable[Session]:
        """None: they are fetched when they are asked for."""
        return ()

    def fetch(self, known: Mapping[str, int | None], *, use: bool = True) -> dict[str, Session | Gone | None]:
        """In one call; without any it still makes sure that Redis is there."""
        asked = [part for id, at in known.items() for part in (id, "" if at is None else at)]
        with self._answering():
            try:
                answers = self._fetch([self._key], [*self._lives, int(use), *asked])
            except self._error:  # a connection that was closed meanwhile
                answers = self._fetch([self._key], [*self._lives, int(use), *asked])
        return {id: _found(id, said) for id, said in zip(known, answers, strict=True) if said != 1}

    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        """One script."""
        if not changed and not ended:
            return
        said: list[Any] = [*self._lives, len(changed), len(ended)]
        for session, old, _ in changed:
            said += [session.id, "" if old is None else old.sequence]
        for session, old, _ in changed:
            gone, new = _fields(session, old)
            said += [session.owner, round((session.created + self._age) * 1000), len(gone), *gone, len(new) // 2, *new]
        with self._answering():
            done = self._commit([self._key], [*said, *ended])
        if not done:
            raise ChangedError

    def facts(self, owner: str) -> list[dict[str, Any]]:
        """As they were kept."""
        with self._answering():
            found = [json.loads(one)["facts"] for one in self._facts([self._key], [owner])]
        return sorted(found, key=lambda one: float(one["created"]))

    def count(self, owner: str) -> tuple[int, int]:
        """By the index of those that live."""
        with self._answering():
            live, of_owner = self._count([self._key], [owner])
        return live, of_owner

    def close(self) -> None:
        """Close connections."""
        self._db.close()

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except (self._error, OSError) as error:
            raise RefusedError(
                503,
                f"the Redis that keeps the sessions was expected to answer. Received: {error}.".replace("..", "."),
                hint="send it again a little later, with the same sequence number: it then happens once",
            ) from error


def _without_password(url: str) -> str:
    """As an error may show it."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _fields(session: Session, old: Session | None) -> tuple[list[str], list[Any]]:
    """Fields of a session's hash that go, and those that are set, each followed by its value."""
    found = changes(session, old)
    gone = [f"c{start}" for start in found.lost_chunks] + [f"e{start}.{number}" for start, number in found.lost_events]
    about = {
        "facts": session.facts,
        "owner": session.owner,
        "dtype": session.state.dtype.str,
        "seed": str(session.sampler.seed),
        "drawn": session.sampler.drawn,
        "asked": session.asked.hex(),
    }
    new: list[Any] = ["sequence", session.sequence, "about", json.dumps(about)]
    new += ["state", session.state.tobytes(), "answer", session.answer]
    for chunk in found.chunks:
        new += [f"c{chunk.start}", f"{chunk.sampler.seed} {chunk.sampler.drawn} ".encode() + chunk.state.tobytes()]
    for start, number, event in found.events:
        new += [f"e{start}.{number}", f"{event.num_steps} ".encode() + did_bytes(event.did)]
    return gone, new


def _found(id: str, said: Any) -> Session | Gone | None:
    """What the script `FETCH` says of a session that is not as it was known."""
    if said == 0:
        return None
    if isinstance(said, bytes):
        owner, _, reason = said.decode().partition("\n")
        return Gone(owner, reason)
    fields = dict(zip(said[::2], said[1::2], strict=True))
    about = json.loads(fields[b"about"])
    facts, dtype = about["facts"], about["dtype"]
    events = dict[int, list[tuple[int, Event]]]()
    for name, value in fields.items():
        if name.startswith(b"e") and b"." in name:
            start, _, number = name[1:].partition(b".")
            num_steps, _, did = value.partition(b" ")
            events.setdefault(int(start), []).append((int(number), Event(int(num_steps), did_of(did))))
    chunks = list[Chunk]()
    for name in sorted((name for name in fields if name[1:].isdigit()), key=lambda name: int(name[1:])):
        start = int(name[1:])
        seed, drawn, state = fields[name].split(b" ", 2)
        happened = [event for _, event in sorted(events.get(start, []), key=lambda one: one[0])]
        chunks.append(Chunk.of(start, np.frombuffer(state, dtype).copy(), Sampler(int(seed), int(drawn)), happened))
    return Session(
        id,
        about["owner"],
        facts["created"],
        np.frombuffer(fields[b"state"], dtype).copy(),
        facts["steps"],
        facts["sequence"],
        Sampler(int(about["seed"]), about["drawn"]),
        tuple(chunks),
        facts["ended"],
        bytes.fromhex(about["asked"]),
        fields[b"answer"],
    )
