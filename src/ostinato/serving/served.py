"""A run that is served: its model, its sessions and the thread that computes them."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from ostinato.diagnostics.equivalence_run import CERTIFICATE_FILE
from ostinato.errors import RecipeError, RowError, RunError
from ostinato.run import Run, load
from ostinato.serving.cells import Cells, reads_text, refuse_files
from ostinato.serving.engine import Done, Engine, Pace
from ostinato.serving.live import Ended, Limits
from ostinato.serving.redis_store import SCHEMES, RedisStore
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.serving.stores import MemoryStore, Store
from ostinato.storage.files import json_ready, read_json
from ostinato.tasks.generation import Generation
from ostinato.tasks.intervening import Intervene
from ostinato.tasks.sound_streaming import as_it_comes
from ostinato.training.progress import Observer
from ostinato.training.run_folder import EVALUATION_FILE, checksums

T = TypeVar("T")
_MOST_AT_WORK = 64
"""Requests without a session that may wait for their turn."""


@dataclass(frozen=True)
class Config:
    """How runs are served; see the classes of its parts.

    Args:
        limits, depth, pace: of each model's sessions.
        store: where sessions are kept: `memory`, `sqlite:FILE` or `redis://HOST:PORT`.
        key: signs snapshots.
        tokens: as `access.read_tokens` gives them; None: anybody may use the server.
        per_second: requests that a token may make, or, without tokens, an address; 0: any number.
        max_body_bytes: of a request.
        request_s: seconds in which the head of a request, and then each next part of its body, has to come.
        shared_bytes: of memory of each model, for what several of its sessions begin with; 0: nothing is shared.
        proxies: addresses, or networks, whose word is taken for where a request comes from.
    """

    limits: Limits = field(default_factory=Limits)
    depth: Depth = field(default_factory=Depth)
    pace: Pace = field(default_factory=Pace)
    store: str = "memory"
    key: bytes = b""
    tokens: Mapping[str, str] | None = None
    per_second: float = 0.0
    max_body_bytes: int = 16 << 20
    request_s: float = 10.0
    shared_bytes: int = 64 << 20
    proxies: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observers:
    """Who receives what happens in an engine's thread."""

    done: Callable[[str, Done], None]
    ended: Callable[[str, Ended], None]


class Heard(Observer):
    """Keeps what is said while a file is read."""

    def __init__(self) -> None:
        self.notes = list[str]()

    def note(self, text: str) -> None:
        """One thing that a user should know."""
        self.notes.append(text)


@dataclass
class Served:
    """One run.

    Args:
        name: in addresses.
        run: open.
        weights: checksum of all that its answers come from.
        engine: None where the model has no sessions.
        reason: why it has none.
        worker: the thread of all that needs no session.
    """

    name: str
    run: Run
    weights: str
    engine: Engine | None
    reason: RunError | None
    worker: ThreadPoolExecutor = field(repr=False)
    at_work: int = 0
    older: list[Engine] = field(default_factory=list)
    """Of earlier weights, which their sessions go on with."""

    @property
    def sessions(self) -> Sessions:
        """Raises `RefusedError` where the model has none, with the reason."""
        return self.running.sessions

    @property
    def running(self) -> Engine:
        """As `sessions`: what computes them."""
        if self.engine is None:
            reason = self.reason or RunError("this model can't be read step by step.")
            raise RefusedError(409, reason.message, hint=reason.hint)
        return self.engine

    def engine_of(self, session: str) -> Engine:
        """What computes a session; for one that there is none of, what computes new ones."""
        for one in self.older:
            if session in one.sessions.live or one.sessions.has_made(session):
                return one
        return self.running

    async def work(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call a function in the thread that computes what needs no session.

        Raises:
            RefusedError: if too many wait for it.
        """
        if self.at_work >= _MOST_AT_WORK:
            raise RefusedError(503, f"at most {_MOST_AT_WORK} requests may wait.", hint="send it again a little later")
        self.at_work += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self.worker, function, *arguments)
        finally:
            self.at_work -= 1

    def predict(self, rows: Sequence[Any], intervene: Intervene | None = None) -> list[dict[str, Any]]:
        """Predictions as JSON has them; arguments as of `Run.predict`.

        Raises:
            RowError: for a row that can't be used, or that names a file of the server.
        """
        given = [refuse_files(self.run, row) for row in rows]
        return [found.to_dict() for found in self.run.predict(given, intervene=intervene)]

    def predict_file(self, path: Path) -> list[dict[str, Any]]:
        """Predictions of a file that was sent: a medium that the model reads, or a table of rows."""
        if self.run.features.input.reads_files:
            return [found.to_dict() for found in self.run.predict([str(path)])]
        found = self.run.predict_file(path)
        return [{"row": number, **one.to_dict()} for number, (_, _, one) in enumerate(found, 1)]

    def evaluate(self, path: Path) -> dict[str, Any]:
        """Figures of the model on a labelled file that was sent, with intervals, and what is to be said of them.

        Raises:
            RefusedError: for a model that reads media: a table of them would name files of the server.
        """
        readers = {"input": self.run.features.input, **self.run.features.extra}
        if any(feature.reads_files for feature in readers.values()):
            raise RefusedError(
                409,
                "a model of rows that need no further file was expected. Received: one of media.",
                hint=f"where the files are: ostinato evaluate {self.run.folder.name} FILE",
            )
        said = Heard()
        return {"metrics": json_ready(self.run.evaluate(path, said, save=False)), "notes": said.notes}

    def generation(self, prompt: Any, options: dict[str, Any]) -> Generation:
        """What the run writes, before it is decoded."""
        if isinstance(prompt, list) and reads_text(self.run):
            raise RowError("`prompt` must be a text. Received: a list.", hint='{"prompt": "Captain "}')
        refuse_files(self.run, prompt or None)
        refuse_files(self.run, options.get("condition"))
        return self.run.generation(prompt, **options)

    @cached_property
    def signature(self) -> dict[str, Any]:
        """Of its model, which it takes a run of the model to know."""
        return self.run.spec.signature(self.run.model, self.run.features, self.run.recipe).to_dict()

    def facts(self) -> dict[str, Any]:
        """What the world may know of it."""
        run = self.run
        found = {
            "name": self.name,
            "task": run.recipe.model.task,
            "noun": run.spec.noun,
            "cell": run.recipe.model.cell,
            "weights": self.weights,
            "reads": run.features.input.kind,
            "sessions": self.engine is not None,
            "writes": self.engine is not None and hasattr(self.engine.sessions.model, "write"),
            "signature": self.signature,
            "validation": run.summary.get("validation"),
            "test": read_json(run.folder / EVALUATION_FILE, missing_ok=True) or None,
            "certificate": read_json(run.folder / CERTIFICATE_FILE, missing_ok=True) or None,
        }
        if self.reason is not None:
            found["no_sessions"] = self.reason.message
        if self.engine is not None:
            found["state_bytes"] = self.engine.sessions.model.zero().nbytes
            found |= self.engine.sessions.model.facts
        return found


def serve_run(name: str, folder: Path, config: Config, worker: ThreadPoolExecutor, observers: Observers) -> Served:
    """Open a run to serve it; its engine has not been started.

    Raises:
        RunError: for what is no run.
    """
    weights, run = weights_of(folder), load(folder)
    try:
        model = as_it_comes(run.spec.streaming(run.model, run.features, run.recipe), run.features)
    except RunError as reason:
        return Served(name, run, weights, None, reason, worker)
    sessions = Sessions(
        model,
        Seal(model, weights, run.recipe.model.task, config.key),
        open_store(config.store, name, weights, config.limits),
        config.limits,
        config.depth,
        on_ended=lambda ended: observers.ended(name, ended),
        check=Cells.of(run).check,
        shared_bytes=config.shared_bytes,
    )
    engine = Engine(sessions, config.pace, lambda done: observers.done(name, done))
    return Served(name, run, weights, engine, None, worker)


def weights_of(folder: Path) -> str:
    """A checksum of all that a run's answers come from."""
    return hashlib.sha256(json.dumps(checksums(folder), sort_keys=True).encode()).hexdigest()


def open_store(where: str, model: str, weights: str, limits: Limits) -> Store:
    """The store that an option names, for the sessions of one model.

    Raises:
        RecipeError: for what names none.
    """
    kind, _, path = where.partition(":")
    if where == "memory":
        return MemoryStore()
    if kind == "sqlite" and path:
        return SqliteStore(Path(path), model, weights)
    if kind in SCHEMES and path.startswith("//"):
        return RedisStore(where, model, weights, limits)
    raise RecipeError(f"`--store` must be memory, sqlite:FILE or redis://HOST:PORT. Received: {where}.")
