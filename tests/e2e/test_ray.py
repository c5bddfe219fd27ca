"""Replicas under Ray Serve: a session whose state travels with the client goes on at whichever answers."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ostinato
from ostinato.errors import RecipeError
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Config

RUN = Path(__file__).parents[1] / "fixtures/old_runs/language_model_characters"
TEXT = "a seal ran. the owl hears a seal"
_SERVE = """
import socket, sys
import ray
from ray import serve
from ostinato.serving.ray_app import build
with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=80 << 20, log_to_driver=False)
serve.start(http_options={"host": "127.0.0.1", "port": port})
serve.run(build({"runs": "lm=" + sys.argv[1], "key_file": sys.argv[2], "replicas": "2", "num_cpus": "0.5"}))
print("PORT", port, flush=True)
sys.stdin.read()
serve.shutdown()
ray.shutdown()
"""
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="ray is not installed: extra `ray`")


@pytest.fixture(scope="module")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    key = tmp_path_factory.mktemp("ray") / "key"
    key.write_bytes(b"k" * 32)
    waits = {"RAY_raylet_start_wait_time_s": "200", "RAY_USAGE_STATS_ENABLED": "0"}
    environment = {**os.environ, **waits, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", _SERVE, str(RUN), str(key)]
    log = key.with_name("log")
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        log.open("w") as written,
        subprocess.Popen(words, stderr=written, text=True, env=environment, **pipes) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        port = next((line.split()[1] for line in process.stdout if line.startswith("PORT")), "")
        assert port, log.read_text()[-3000:]
        yield f"http://127.0.0.1:{port}"
        process.stdin.close()
        process.stdout.read()


@needs_ray
def test_a_session_that_travels_goes_on_at_any_replica(replicas: str) -> None:
    answered, seen = list[object](), set[str]()
    with ostinato.Client(replicas) as client:
        cold = client.score("lm", TEXT)
        state = ""
        for at in range(0, len(TEXT), 2):
            body = {"inputs": TEXT[at : at + 2], "state": state}
            reply = client._http.post("/v1/models/lm/step", json=body, headers={"connection": "close"})
            told = json.loads(reply.content)
            state, seen = told["state"], seen | {reply.headers["x-replica"]}
            answered += told["answers"]
        assert answered == cold
        assert len(seen) == 2
        branch = client.step("lm", "w", state, "last")
        assert (branch["steps"], len(branch["answers"])) == (len(TEXT) + 1, 1)
        again = client.step("lm", "w", state, "last")  # the state stays what it is
        assert again["answers"] == branch["answers"]
        assert client.step("lm", "e", again["state"])["answers"] == client.step("lm", "e", branch["state"])["answers"]
        forged = base64.b64encode(base64.b64decode(state)[:-1] + b"\1").decode()
        with pytest.raises(RefusedError, match="signed by this server's key"):
            client.step("lm", "w", forged)


@needs_ray
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own models, where it is imported
def test_what_replicas_can_not_share(tmp_path: Path) -> None:
    from ostinato.serving.ray_app import application, build

    with pytest.raises(RecipeError, match=r"key of 32 bytes or more. Received: 0 bytes"):
        application({"lm": RUN}, Config())
    with pytest.raises(RecipeError, match=r"redis://HOST:PORT. Received: sqlite:x"):
        application({"lm": RUN}, Config(store="sqlite:x", key=b"k" * 32))
    with pytest.raises(RecipeError, match="`runs` and `key_file`"):
        build({"runs": str(RUN)})
