"""Mixed operations on a server for a long time, and its memory once a minute.

    python benchmarks/serving_soak.py [--minutes 30] [--live 400]

A language model and a classifier of sound; so many sessions live, and as many end as begin.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from serving_process import memory_mb, serving
from serving_runs import make_runs
from websockets.sync.client import connect

import ostinato
from ostinato.serving.client import ClientSession


def soak(folder: Path, minutes: float, live: int) -> dict[str, Any]:
    """Frames of operations, one after the other, with pauses."""
    runs, r = make_runs(folder), random.Random(0)
    there, done, memory = dict[str, tuple[str, int]](), Counter[str](), list[float]()
    with (
        serving(str(folder / "text"), str(folder / "spoken"), "--history", "256") as (url, pid),
        ostinato.Client(url) as client,
        connect(f"{url.replace('http', 'ws')}/v1/stream", max_size=None, compression=None) as socket,
    ):
        begun = time.monotonic()
        while time.monotonic() - begun < minutes * 60:
            asked = [_one(r, runs, there, live) for _ in range(40)]
            socket.send(json.dumps(asked))
            for request, told in zip(asked, json.loads(socket.recv()), strict=True):
                assert told["status"] in (200, 404, 410), told  # it may have been deleted in the same frame
                done[request["op"]] += 1
                if told["status"] == 200 and told["result"]:
                    there[told["result"]["session"]] = (request["model"], told["result"].get("steps", 0))
                if request["op"] == "delete":
                    there.pop(request["session"], None)
            name = r.choice(sorted(there))
            session = ClientSession(client, there[name][0], {"session": name, "sequence": 0})
            restored = client.restore(session.model, session.snapshot())
            restored.delete()
            done["restore"] += 1
            if time.monotonic() - begun > len(memory) * 60:
                memory.append(round(memory_mb(pid), 1))
                print(len(memory) - 1, memory[-1], dict(done), f"{len(there)} live", flush=True)
            time.sleep(0.1)
    return {"mb_each_minute": memory, "operations": dict(done)}


def _one(r: random.Random, runs: Any, there: dict[str, tuple[str, int]], live: int) -> dict[str, Any]:
    kind = r.choice(["step"] * 14 + ["peek", "rewind", "fork", "create"])
    if not there or kind == "create":
        return {"op": "create", "model": r.choice(["text", "spoken"])}
    id = r.choice(sorted(there))
    model, steps = there[id]
    found = {"op": kind, "model": model, "session": id}
    if len(there) > live:
        return {**found, "op": "delete"}
    if kind == "step":
        return {**found, "inputs": runs[model].draw(r, r.randint(1, 9)), "answers": r.choice(["each", "last"])}
    return {**found, "to": max(steps - 20, 0)} if kind == "rewind" else found


def main() -> None:
    """All of it."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--live", type=int, default=400)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(soak(Path(name), given.minutes, given.live)))


if __name__ == "__main__":
    main()
