"""Random operations on sessions of real runs, in a real server with a store in SQLite that is killed again and again;
every answer compared with a cold run of the same history: a part of `serving.py`."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from serving_process import ENVIRONMENT
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import ostinato
from ostinato.serving.calls import Call
from ostinato.serving.operations import json_bytes
from ostinato.tasks.streaming import Answer, Reading, StreamingModel

IDLE_S, HISTORY = 180.0, 96
MOST_LIVE, AT_ONCE = 1000, 250
KINDS = ["step"] * 83 + ["rewind"] * 6 + ["fork"] * 3 + ["snapshot"] * 2 + ["create"] * 3 + ["peek"] * 2 + ["leave"]
PIECES = [1] * 8 + [2] * 4 + [3, 5, 9, 30]
Draw = Callable[[random.Random, int], Any]


@dataclass
class Trained:
    """A run that is served, and the same model, which answers cold.

    Args:
        draw: inputs of about so many steps, a list or a text.
        unit: of inputs that make a step.
        delay: steps whose answers come later.
    """

    folder: Path
    model: StreamingModel
    draw: Draw
    unit: int = 1
    delay: int = 0

    @property
    def name(self) -> str:
        """It is served by."""
        return self.folder.name

    def cold(self, inputs: Any) -> tuple[list[Answer], Answer, list[Answer]]:
        """A history read in one call: its answers, what is said in the end, and what is still owed."""
        taken = self.model.take(self.model.encode(inputs), self.model.zero())
        read = self.model.read([Reading(taken.steps, taken.state, "each")])[0]
        state = self.model.leave(read.state, taken.left)
        return read.answers, self.model.peek(state), self.model.finish(state)


@dataclass
class Mirror:
    """What a session has been given since it began, and what it has answered."""

    of: Trained
    inputs: Any
    told: dict[int, bytes] = field(default_factory=dict)
    first: int = 0
    sequence: int = 0
    used: float = field(default_factory=time.monotonic)

    @property
    def steps(self) -> int:
        """Read by now."""
        return len(self.inputs) // self.of.unit

    def took(self, inputs: Any, answers: Sequence[Any], which: str) -> None:
        """It has read, and was answered."""
        before = max(self.steps - self.of.delay, 0)
        self.inputs = self.inputs + inputs
        self.first = max(self.first, self.steps - HISTORY)
        until = max(self.steps - self.of.delay, 0)
        first = {"each": before, "last": max(until - 1, before), "none": until}[which]
        self.told.update(zip(range(first, until), map(json_bytes, answers), strict=True))

    def rewound(self, to: int) -> None:
        """It has gone back."""
        self.inputs = self.inputs[: to * self.of.unit]
        self.told = {at: said for at, said in self.told.items() if at < to - self.of.delay}

    def copy(self, first: int) -> Mirror:
        """Of a session that goes on from here, and back to `first`."""
        return Mirror(self.of, self.inputs, dict(self.told), first)


class Server:
    """A process that is killed and started again on the same file."""

    def __init__(self, models: Sequence[Trained], folder: Path) -> None:
        (folder / "key").write_bytes(b"k" * 32)
        kept = ["--store", f"sqlite:{folder / 'sessions.db'}", "--key-file", str(folder / "key")]
        limits = ["--history", str(HISTORY), "--idle-s", str(IDLE_S), "--port", "0"]
        self._words = [*(str(one.folder) for one in models), *kept, *limits]
        self.start()

    def start(self) -> None:
        """Wait until it listens."""
        command = [sys.executable, "-m", "ostinato", "serve", *self._words]
        environment = {**ENVIRONMENT, "COLUMNS": "400"}
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
        log = self._process.stderr
        assert log is not None
        url = next(found[1] for line in log if (found := re.search(r" at (http://\S+)", line)))
        threading.Thread(target=log.read, daemon=True).start()
        self.client = ostinato.Client(url)
        self._socket = connect(
            f"{url.replace('http', 'ws')}/v1/stream", max_size=None, compression=None, ping_interval=None
        )

    def kill(self) -> None:
        """-9."""
        self._process.kill()
        self._process.wait()

    def ask(self, requests: Sequence[Any], kill_after: float | None = None) -> list[Any]:
        """The answers of a frame. Raises `ConnectionClosed` if it is killed meanwhile."""
        if kill_after is not None:
            threading.Timer(kill_after, self.kill).start()
        self._socket.send(json.dumps(requests))
        while True:
            told = json.loads(self._socket.recv())
            if isinstance(told, list) and kill_after is None:
                return told
            assert isinstance(told, list) or told["event"] in ("ended", "busy"), told


class Trial:
    """Random operations, and what they should have been answered."""

    def __init__(self, models: Sequence[Trained], server: Server, kill_every: int) -> None:
        self._models, self._server, self._kill_every = models, server, kill_every
        self._random = random.Random(0)
        self._live, self._left = dict[str, Mirror](), dict[str, Mirror]()
        self.done: Counter[str] = Counter()
        self.compared: Counter[str] = Counter()
        self.differences = 0

    def go(self, operations: int, seconds: float) -> None:
        """So many, or as many as there is time for."""
        begun = said = time.monotonic()
        while self.done.total() < operations and time.monotonic() - begun < seconds:
            self._round()
            if time.monotonic() - said > 60:
                said = time.monotonic()
                facts = {"operations": self.done.total(), "answers": self.compared.total()}
                print(round(said - begun), {**facts, "differences": self.differences}, flush=True)
        for mirror in [*self._live.values(), *self._left.values()]:
            self._check(mirror)
        self._server.kill()

    def _round(self) -> None:
        """A frame of operations on different sessions."""
        now, chosen = time.monotonic(), self._random.sample(sorted(self._live), min(AT_ONCE, len(self._live)))
        chosen = chosen[: self._random.randint(1, AT_ONCE)]
        chosen += [id for id, mirror in self._live.items() if now - mirror.used > IDLE_S / 3 and id not in chosen]
        asked = [(id, self._request(self._random.choice(KINDS), id)) for id in chosen]
        asked = [(id, request) for id, request in asked if request]
        asked += [("", self._create()) for _ in range(1 if self._live else 50)]
        for (id, request), told in self._answered(asked):
            assert told["status"] == 200, (request, told)
            self.done[request["op"]] += 1
            self._mirrored(id, request, told["result"])
        if len(self._live) > MOST_LIVE:
            self._delete_some()
        self._look_after_those_left()

    def _create(self) -> dict[str, Any]:
        return {"op": "create", "model": self._random.choice(self._models).name}

    def _request(self, kind: str, id: str) -> dict[str, Any] | None:
        mirror, random = self._live[id], self._random
        found = {"op": kind, "model": mirror.of.name, "session": id}
        if kind == "create":
            return self._create()
        if kind == "step":
            inputs = mirror.of.draw(random, random.choice(PIECES))
            which = random.choice(["each", "last", "none"])
            return {**found, "inputs": inputs, "answers": which, "sequence": mirror.sequence + 1}
        if kind == "rewind":
            return {**found, "to": random.randint(mirror.first, mirror.steps), "sequence": mirror.sequence + 1}
        if kind == "snapshot":
            self._restore(id, mirror)
            return None
        if kind == "leave":
            self._left[id] = self._live.pop(id)
            self._left[id].used = time.monotonic()
            return None
        return found

    def _answered(self, asked: list[Any]) -> list[tuple[Any, Any]]:
        """Sent; at times the server is killed meanwhile, and what has a number is sent again once it is back."""
        kill_after = self._random.uniform(0, 0.1) if self._random.random() < 1 / self._kill_every else None
        try:
            told = self._server.ask([request for _, request in asked], kill_after)
        except ConnectionClosed:
            self._server.kill()
            self._server.start()
            self.done["kill -9"] += 1
            for mirror in [*self._live.values(), *self._left.values()]:
                mirror.used = time.monotonic()
            asked = [one for one in asked if "sequence" in one[1]]
            self.done["sent again"] += len(asked)
            told = self._server.ask([request for _, request in asked])
        return list(zip(asked, told, strict=True))

    def _mirrored(self, id: str, request: dict[str, Any], told: Any) -> None:
        if request["op"] == "create":
            of = next(one for one in self._models if one.name == request["model"])
            self._live[told["session"]] = Mirror(of, of.draw(self._random, 0))
            return
        mirror = self._live[id]
        mirror.used, mirror.sequence = time.monotonic(), request.get("sequence", mirror.sequence)
        if request["op"] == "step":
            mirror.took(request["inputs"], told["answers"], request["answers"])
        elif request["op"] == "rewind":
            if self._random.random() < 0.2:
                self._check(mirror)
            mirror.rewound(request["to"])
        elif request["op"] == "fork":
            self._live[told["session"]] = mirror.copy(mirror.first)
        elif len(mirror.inputs):
            _, stands, owed = mirror.of.cold(mirror.inputs)
            path = f"/v1/models/{mirror.of.name}/sessions/{id}/finish"
            self._compare(mirror, json_bytes(told["answer"]), stands)
            self._compare(mirror, json_bytes(self._server.client.call(Call("GET", path))["answers"]), owed)
        assert told["steps"] == mirror.steps, (request, told)

    def _restore(self, id: str, mirror: Mirror) -> None:
        path = f"/v1/models/{mirror.of.name}/sessions/{id}/snapshot"
        restored = self._server.client.restore(mirror.of.name, self._server.client.call(Call("GET", path)))
        self.done += Counter(snapshot=1, restore=1)
        self._live[restored.id], mirror.used = mirror.copy(mirror.steps), time.monotonic()

    def _delete_some(self) -> None:
        some = self._random.sample(sorted(self._live), MOST_LIVE // 5)
        asked = [{"op": "delete", "model": self._live[id].of.name, "session": id} for id in some]
        for id, told in zip(some, self._server.ask(asked), strict=True):
            assert told["status"] == 200, told
            self.done["delete"] += 1
            self._check(self._live.pop(id))

    def _look_after_those_left(self) -> None:
        """One that nobody used for long enough is over."""
        over = [id for id, one in self._left.items() if time.monotonic() - one.used > IDLE_S + 3]
        if over:
            asked = [{"op": "about", "model": self._left[id].of.name, "session": id} for id in over]
            for id, told in zip(over, self._server.ask(asked), strict=True):
                assert told["status"] in (404, 410), told  # 404: it had ended when the server was killed
                self.done["expire"] += 1
                self._check(self._left.pop(id))

    def _check(self, mirror: Mirror) -> None:
        """A cold run of the same history, in one call."""
        answers = mirror.of.cold(mirror.inputs)[0] if len(mirror.inputs) else []
        for at, told in mirror.told.items():
            self._compare(mirror, told, answers[at])

    def _compare(self, mirror: Mirror, told: bytes, should: Any) -> None:
        self.compared[mirror.of.name] += 1
        if told != json_bytes(should):
            self.differences += 1
            print("DIFFERENCE", mirror.of.name, told[:200], json_bytes(should)[:200], flush=True)


def exactness(
    models: Sequence[Trained], operations: int, folder: Path, seconds: float, kill_every: int = 400
) -> dict[str, Any]:
    """Every answer against a cold run; the server is killed about every so many frames."""
    begun, server = time.monotonic(), Server(models, folder)
    trial = Trial(models, server, kill_every)
    try:
        trial.go(operations, seconds)
    finally:
        with suppress(ProcessLookupError):
            server.kill()
    found = {
        "operations": dict(trial.done),
        "answers": dict(trial.compared),
        "differences": trial.differences,
        "seconds": round(time.monotonic() - begun),
    }
    print(json.dumps(found), flush=True)
    return found
