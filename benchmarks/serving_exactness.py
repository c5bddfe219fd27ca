"""Random operations on sessions of real runs, every answer compared with a cold run of the same history: a part of
`serving.py`."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ostinato
from ostinato.serving.live import Limits
from ostinato.serving.operations import json_bytes
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.serving.stores import Store
from ostinato.tasks.streaming import Reading


@dataclass
class Mirror:
    """What a session has read since it began, and what it answered at each step (None: it was not asked)."""

    inputs: list[Any] = field(default_factory=list)
    answers: list[bytes | None] = field(default_factory=list)
    first: int = 0


class Trial:
    """Random operations on the sessions of one model, and what they should have answered."""

    def __init__(self, name: str, run: ostinato.Run, draw: Callable[[random.Random], Any], folder: Path) -> None:
        self._draw, self._random = draw, random.Random(name)
        self._model = run.spec.streaming(run.model, run.features, run.recipe)
        self._seal = Seal(self._model, "w", name, b"k" * 32)
        self._file, self._now = folder / f"{name}.db", 0.0
        self.sessions = self._open(SqliteStore(self._file, name, "w"))
        self._name, self.mirrors = name, dict[str, Mirror]()
        self.done: dict[str, int] = {}
        self.differences, self.compared = 0, 0
        self._text = isinstance(draw(self._random), str) and run.spec.name == "language_model"

    def _open(self, store: Store) -> Sessions:
        limits = Limits(idle_s=1000.0, max_age_s=1e9)
        return Sessions(self._model, self._seal, store, limits, Depth(96, 16), clock=lambda: self._now)

    def go(self, operations: int) -> None:
        """Rounds of operations on many sessions at once."""
        kinds = ["step"] * 78 + ["rewind"] * 7 + ["fork"] * 5 + ["snapshot"] * 4 + ["create"] * 5 + ["expire"]
        left = operations
        while left > 0:
            self._now += 1.0
            count = min(left, self._random.randint(1, 200))
            self._round([self._random.choice(kinds) for _ in range(count)])
            left -= count
            if self._random.random() < 0.1:
                self._restart()
            if len(self.mirrors) > 300:
                for id in self._random.sample(sorted(self.mirrors), 60):
                    self._end(id)
        for id in list(self.mirrors):
            self._check(self.mirrors[id])

    def _count(self, kind: str) -> None:
        self.done[kind] = self.done.get(kind, 0) + 1

    def _round(self, kinds: list[str]) -> None:
        asked, after = [], []
        for kind in kinds:
            id = self._random.choice(list(self.mirrors)) if self.mirrors else ""
            self._count(kind if id else "create")
            if kind == "create" or not id:
                asked.append(self.sessions.create("o"))
                after.append(("create", Mirror(), []))
            elif kind == "step":
                inputs = [self._draw(self._random) for _ in range(self._random.choice([1, 1, 1, 2, 3, 5, 9, 30]))]
                answers = self._random.choice(["each", "last", "none"])
                asked.append(self.sessions.step("o", id, "".join(inputs) if self._text else inputs, answers))
                after.append((answers, id, inputs))
            else:
                self._flush(asked, after)
                asked, after = [], []
                self._alone(kind, id)
        self._flush(asked, after)

    def _flush(self, asked: list[Any], after: list[Any]) -> None:
        if not asked:
            return
        outcomes = self.sessions.run(asked)
        self.sessions.commit()
        for (what, of, inputs), outcome in zip(after, outcomes, strict=True):
            if isinstance(outcome, Exception):
                raise outcome
            said = json.loads(outcome)
            if what == "create":
                self.mirrors[said["session"]] = of
                continue
            mirror, told = self.mirrors[of], [json_bytes(one) for one in said["answers"]]
            mirror.inputs += inputs
            kept: list[bytes | None] = [None] * (len(inputs) - len(told))
            mirror.answers += [*kept, *told]

    def _alone(self, kind: str, id: str) -> None:
        mirror = self.mirrors[id]
        if kind == "rewind":
            first = json.loads(self.sessions.do(self.sessions.about("o", id)))["first_step"]
            to = self._random.randint(first, len(mirror.inputs))
            if self._random.random() < 0.2:
                self._check(mirror)
            self.sessions.do(self.sessions.rewind("o", id, to))
            del mirror.inputs[to:], mirror.answers[to:]
        elif kind in ("fork", "snapshot"):
            made = self.sessions.fork("o", id)
            if kind == "snapshot":
                made = self.sessions.restore("o", self.sessions.do(self.sessions.snapshot("o", id)))
            other = json.loads(self.sessions.do(made))["session"]
            self.mirrors[other] = Mirror(list(mirror.inputs), list(mirror.answers))
        else:  # one that nobody uses for long enough is over
            for other in self.mirrors:
                if other != id:
                    self.sessions.do(self.sessions.about("o", other))
            self._now += 600.0
            for other in self.mirrors:
                if other != id:
                    self.sessions.do(self.sessions.about("o", other))
            self._now += 600.0
            for other in self.mirrors:
                if other != id:
                    self.sessions.do(self.sessions.about("o", other))
            outcome = self.sessions.run([self.sessions.about("o", id)])[0]
            self.sessions.commit()
            assert getattr(outcome, "status", 0) == 410, outcome
            self._check(self.mirrors.pop(id))

    def _end(self, id: str) -> None:
        self.sessions.do(self.sessions.delete("o", id))
        self._check(self.mirrors.pop(id))

    def _restart(self) -> None:
        self._count("restart")
        self.sessions.live.close()
        self.sessions = self._open(SqliteStore(self._file, self._name, "w"))

    def _check(self, mirror: Mirror) -> None:
        """A cold run of the same history, in one call."""
        if not mirror.inputs:
            return
        given = "".join(mirror.inputs) if self._text else mirror.inputs
        cold = self._model.read([Reading(self._model.encode(given), self._model.zero(), "each")])[0].answers
        for told, should in zip(mirror.answers, cold, strict=True):
            if told is not None:
                self.compared += 1
                self.differences += told != json_bytes(should)


def exactness(runs: dict[str, Any], operations: int, folder: Path) -> dict[str, Any]:
    """Every answer against a cold run."""
    found: dict[str, Any] = {}
    for name, (run, draw) in runs.items():
        start, trial = time.perf_counter(), Trial(name, run, draw, folder)
        trial.go(operations // len(runs))
        seconds = round(time.perf_counter() - start, 1)
        found[name] = {
            "operations": trial.done,
            "answers": trial.compared,
            "differences": trial.differences,
            "seconds": seconds,
        }
        print(name, found[name], flush=True)
    return found
