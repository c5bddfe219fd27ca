"""Single steps over HTTP, one in a request, of our server and of plain FastAPI handlers in turn: a part of
`serving.py`."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import statistics
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from serving_process import ENVIRONMENT, cpu_s, figures, serving
from serving_runs import UNITS

import ostinato

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
    head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    return f"{head}content-length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def plain(kind: str) -> Iterator[tuple[int, int]]:
    """A plain handler as a process: its port and its id."""
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
