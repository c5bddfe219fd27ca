"""Sessions: exactness by random operations, load through WebSockets, and single steps over HTTP beside plain handlers.

    python benchmarks/serving.py [--operations 1000000] [--sessions 10000] [--rate 10000] [--out FILE.json]

Four runs with 128 units are trained for a moment on made-up data. `exactness` does random operations on their sessions,
in a store of SQLite that is closed and opened again on the way, and compares every answer with a cold run of the same
history, byte for byte. `load` sends steps at a fixed rate, whether or not answers have come, through WebSockets to a
server process; a latency is from the moment a frame should have been sent to its answer. `http` asks for single steps,
one in a request, of our server and of plain FastAPI handlers (torch; ONNX Runtime) in turn. Server and generator share
the machine. Needs onnx and onnxruntime for the last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import re
import signal
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from websockets.asyncio.client import connect

import ostinato
from ostinato.serving.live import Limits
from ostinato.serving.operations import json_bytes
from ostinato.serving.session import Depth
from ostinato.serving.sessions import Sessions
from ostinato.serving.snapshot import Seal
from ostinato.serving.sqlite_store import SqliteStore
from ostinato.serving.stores import Store
from ostinato.tasks.streaming import Reading
from ostinato.training.progress import Observer

UNITS = 128
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
TRAINING = {"training.epochs": 1, "training.num_threads": 1, "training.baselines_seconds": 0}


# ---- runs -----------------------------------------------------------------------------------------------------------
def make_runs(folder: Path) -> dict[str, tuple[ostinato.Run, Callable[[random.Random], Any]]]:
    """Four runs, and what draws an input of one step for each."""
    rng = random.Random(0)
    letters = string.ascii_lowercase + " "
    (folder / "text.txt").write_text("".join(rng.choice(letters) for _ in range(20_000)))
    numbers = np.random.default_rng(0).normal(size=(400, 20, 2)).round(2)
    rows = [{"x": one.tolist(), "y": "up" if one.mean() > 0 else "down"} for one in numbers]
    (folder / "waves.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = [[rng.choice("abcdef") for _ in range(12)] for _ in range(300)]
    tags = [{"x": row, "y": [word.upper() for word in row]} for row in words]
    (folder / "tags.jsonl").write_text("\n".join(map(json.dumps, tags)))
    values = np.sin(np.arange(600) / 7).round(4)
    (folder / "load.csv").write_text("y\n" + "\n".join(map(str, values)))
    common = {**TRAINING, "model.hidden_size": UNITS, "training.batch_size": 16}
    plans: dict[str, tuple[dict[str, Any], Callable[[random.Random], Any]]] = {
        "text": ({"data": "text.txt", "settings": {"model.cell": "lstm"}}, lambda r: r.choice(letters)),
        "waves": (
            {
                "data": "waves.jsonl",
                "input": "x",
                "target": "y",
                "settings": {"model.task": "classification", "model.cell": "gru", "model.bidirectional": False},
            },
            lambda r: [round(r.gauss(0, 1), 2), round(r.gauss(0, 1), 2)],
        ),
        "tags": (
            {
                "data": "tags.jsonl",
                "input": "x",
                "target": "y",
                "settings": {"model.task": "tagging", "model.bidirectional": False},
            },
            lambda r: r.choice("abcdef"),
        ),
        "load": (
            {"data": "load.csv", "settings": {"model.task": "forecasting", "model.horizon": 3, "model.lookback": 24}},
            lambda r: [round(r.gauss(0, 1), 3)],
        ),
    }
    found = {}
    for name, (plan, draw) in plans.items():
        settings = {**common, **plan.pop("settings")}
        data = folder / plan.pop("data")
        out = folder / name
        found[name] = (ostinato.train(data, settings=settings, out=out, observer=Observer(), **plan), draw)
    return found


# ---- exactness ------------------------------------------------------------------------------------------------------
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
            if self._random.random() < 0.01:
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


# ---- a server -------------------------------------------------------------------------------------------------------
@contextmanager
def serving(*words: str) -> Iterator[tuple[str, int]]:
    """A server process: its address and its id."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ostinato", "serve", *words, "--port", "0"],
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "COLUMNS": "300"},
    )
    assert process.stderr is not None
    url = next(found[1] for line in process.stderr if (found := re.search(r" at (http://\S+)", line)))
    try:
        yield url, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.wait()


def cpu_s(pid: int) -> float:
    """Of a process, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """Resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) / 1024


def figures(latencies: list[float], seconds: float) -> dict[str, float]:
    """Of latencies in seconds."""
    ms = np.array(latencies) * 1000
    return {
        "per_s": round(len(ms) / seconds),
        **{f"p{q:g}_ms": round(float(np.percentile(ms, q)), 2) for q in (50, 90, 99, 99.9)},
        "max_ms": round(float(ms.max()), 1),
    }


# ---- load -----------------------------------------------------------------------------------------------------------
async def load(url: str, pid: int, sessions: int, rate: int, seconds: float, in_frame: int) -> dict[str, Any]:
    """Steps at a fixed rate, `in_frame` of them in a frame."""
    connections, letters = 20, string.ascii_lowercase
    before = memory_mb(pid)
    latencies = list[float]()
    refused = 0

    async def one(number: int) -> None:
        nonlocal refused
        async with connect(f"{url.replace('http', 'ws')}/v1/stream", max_size=None, compression=None) as socket:
            ids = list[str]()
            for _ in range(sessions // connections // 100):
                await socket.send(json.dumps([{"op": "create", "model": "text"}] * 100))
                ids += [each["result"]["session"] for each in json.loads(await socket.recv())]
            heads = [f'{{"op":"step","model":"text","answers":"last","session":"{id}","inputs":"' for id in ids]
            ready.release()
            await begin.wait()
            due, every, at = begun + number * in_frame / rate, in_frame * connections / rate, 0
            expected = list[float]()

            async def receive() -> None:
                nonlocal refused
                for _ in range(round(seconds / every)):
                    told = await socket.recv()
                    latencies.extend([time.perf_counter() - expected.pop(0)] * in_frame)
                    refused += str(told).count('"problem"')

            receiver = asyncio.create_task(receive())
            for n in range(round(seconds / every)):
                frame = [f'{heads[(at + k) % len(ids)]}{letters[n % 26]}"}}' for k in range(in_frame)]
                at += in_frame
                wait = due - time.perf_counter()
                if wait > 0:
                    await asyncio.sleep(wait)
                expected.append(due)
                await socket.send(f"[{','.join(frame)}]")
                due += every
            await receiver

    ready, begin, begun = asyncio.Semaphore(0), asyncio.Event(), 0.0
    tasks = [asyncio.create_task(one(number)) for number in range(connections)]
    for _ in tasks:
        await ready.acquire()
    held = memory_mb(pid)
    worked = cpu_s(pid)
    begun = time.perf_counter() + 0.5
    begin.set()
    await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    return {
        "sessions": sessions,
        "in_frame": in_frame,
        "asked_per_s": rate,
        **figures(latencies, took),
        "cpu_us": round((cpu_s(pid) - worked) / len(latencies) * 1e6),
        "refused": refused,
        "kb_a_session": round((held - before) * 1024 / sessions, 2),
        "mb_after": round(memory_mb(pid)),
    }


# ---- single steps over HTTP -----------------------------------------------------------------------------------------
PLAIN = """
import sys, numpy as np, torch, uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
torch.set_num_threads(1)
V, H = 27, {units}
torch.manual_seed(0)
embed, lstm, out = torch.nn.Embedding(V, H), torch.nn.LSTM(H, H), torch.nn.Linear(H, V)
app, states = FastAPI(), {{}}
class Step(BaseModel):
    session: str
    token: int
@torch.no_grad()
def of_torch(step):
    hidden, state = states.get(step.session, (torch.zeros(1, H), None))
    nll = -out(hidden)[0].log_softmax(-1)[step.token].item()
    hidden, state = lstm(embed(torch.tensor([step.token])), state)
    states[step.session] = hidden, state
    return nll
if sys.argv[2] == "onnx":
    import onnxruntime
    sys.path.insert(0, {here!r})
    from streaming import onnx_session
    ort = onnx_session(lstm)
    E, W, B = embed.weight.detach().numpy(), out.weight.detach().numpy(), out.bias.detach().numpy()
    zero = np.zeros((1, 1, H), "float32")
    def of_onnx(step):
        y, h, c = states.get(step.session, (zero, zero, zero))
        scores = W @ y.reshape(-1) + B
        nll = float(np.log(np.exp(scores - scores.max()).sum()) + scores.max() - scores[step.token])
        y, h, c = ort.run(None, {{"X": E[step.token].reshape(1, 1, -1), "h": h, "c": c}})
        states[step.session] = y, h, c
        return nll
compute = of_onnx if sys.argv[2] == "onnx" else of_torch
@app.post("/step")
def step(step: Step):
    return {{"nll": compute(step)}}
uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
"""


class Asking(asyncio.Protocol):
    """One connection that sends the next request when its answer has come."""

    def __init__(self, requests: Iterator[bytes], until: float) -> None:
        self._requests, self._until = requests, until
        self.latencies, self.over = list[float](), asyncio.get_running_loop().create_future()
        self._buffer, self._sent = b"", 0.0

    def connection_made(self, transport: Any) -> None:
        """Begin."""
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        if self._sent > self._until:
            self._transport.close()
            self.over.set_result(None)
            return
        self._transport.write(next(self._requests))

    def data_received(self, data: bytes) -> None:
        """An answer, or a part of one."""
        self._buffer += data
        head, _, body = self._buffer.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length and len(body) >= int(length[1]):
            assert b" 200 " in head[:16], self._buffer
            self._buffer = b""
            self.latencies.append(time.perf_counter() - self._sent)
            self._ask()


async def ask(host: str, port: int, make: Callable[[int], Iterator[bytes]], at_once: int, seconds: float) -> Any:
    """So many connections for so long."""
    loop, until = asyncio.get_running_loop(), time.perf_counter() + seconds
    asking = [(await loop.create_connection(lambda n=n: Asking(make(n), until), host, port))[1] for n in range(at_once)]
    await asyncio.gather(*(each.over for each in asking))
    return figures([one for each in asking for one in each.latencies], seconds)


def request(path: str, body: str) -> bytes:
    """Of HTTP, as bytes."""
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return (head + body).encode()


@contextmanager
def plain(kind: str) -> Iterator[tuple[int, int]]:
    """A plain handler as a process: its port and its id."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    code = PLAIN.format(units=UNITS, here=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code, str(port), kind], env=ENVIRONMENT)
    try:
        for _ in range(900):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None, "the plain server has ended"
            time.sleep(0.1)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


def http(run: Path, seconds: float, rounds: int) -> dict[str, Any]:
    """Ours, and plain handlers, in turn."""
    found: dict[str, Any] = {}
    with serving(f"text={run}") as (url, pid), plain("torch") as torch, plain("onnx") as onnx:
        with ostinato.Client(url) as client:
            ids = [client.session("text").id for _ in range(64)]

        def ours(n: int) -> Iterator[bytes]:
            while True:
                for letter in string.ascii_lowercase:
                    body = f'{{"inputs":"{letter}"}}'
                    yield request(f"/v1/models/text/sessions/{ids[n]}/step", body)

        def theirs(n: int) -> Iterator[bytes]:
            while True:
                for token in range(26):
                    yield request("/step", f'{{"session":"{n}","token":{token}}}')

        port = int(url.rpartition(":")[2])
        for at_once in (1, 16, 64):
            runs: dict[str, list[Any]] = {"ours": [], "torch": [], "onnx": []}
            there = {"ours": (port, pid, ours), "torch": (*torch, theirs), "onnx": (*onnx, theirs)}
            for _ in range(rounds):
                for name, (at, process, make) in there.items():
                    before = cpu_s(process)
                    told = asyncio.run(ask("127.0.0.1", at, make, at_once, seconds))
                    told["cpu_us"] = round((cpu_s(process) - before) / (told["per_s"] * seconds) * 1e6)
                    runs[name].append(told)
            middle = {
                name: {key: statistics.median(one[key] for one in each) for key in each[0]}
                for name, each in runs.items()
            }
            pairs = {
                name: [a["per_s"] / b["per_s"] for a, b in zip(runs["ours"], runs[name], strict=True)]
                for name in ("torch", "onnx")
            }
            ratios = {f"times_{name}": round(statistics.median(each), 2) for name, each in pairs.items()}
            found[f"at_once_{at_once}"] = {**middle, **ratios}
            print(at_once, json.dumps(found[f"at_once_{at_once}"]), flush=True)
    return found


def main() -> None:
    """All of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--operations", type=int, default=1_000_000)
    options.add_argument("--sessions", type=int, default=10_000)
    options.add_argument("--rate", type=int, default=10_000)
    options.add_argument("--seconds", type=float, default=20.0)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", default="exactness,load,http")
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    found: dict[str, Any] = {"machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        runs = make_runs(folder)
        if "exactness" in given.only:
            found["exactness"] = exactness(runs, given.operations, folder)
        if "load" in given.only:
            for in_frame in (1, 5, 20):
                with serving(f"text={folder / 'text'}") as (url, pid):
                    told = asyncio.run(load(url, pid, given.sessions, given.rate, given.seconds, in_frame))
                found[f"load_{in_frame}_in_frame"] = told
                print(json.dumps(told), flush=True)
        if "http" in given.only:
            found["http"] = http(folder / "text", given.seconds / 4, given.rounds)
    if given.out is not None:
        given.out.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
