"""A run whose files change: new sessions have its new weights, those that live stay on theirs."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.run import load
from ostinato.serving import reload


def _until(done: Callable[[], bool]) -> None:
    for _ in range(300):
        if done():
            return
        time.sleep(0.05)
    raise AssertionError("it has not happened")


def test_a_run_with_new_weights(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reload, "_EVERY_S", 0.05)
    folder = tmp_path / "lm"
    shutil.copytree(OLD_RUNS / "language_model_characters", folder)
    client, url = start(more={"lm": load(folder)}), "/v1/models/lm"
    first = client.get(url).json()["weights"]
    session = f"{url}/sessions/{client.post(url + '/sessions').json()['session']}"
    told = client.post(f"{url}/score", json={"inputs": "a seal"}).json()["answers"]
    assert client.post(f"{session}/step", json={"inputs": "a s"}).json()["answers"] == told[:3]

    (folder / "features.json").write_text("{")  # one that is being written
    shutil.copyfile(OLD_RUNS / "language_model_letters/model.safetensors", folder / "model.safetensors")
    time.sleep(0.5)
    assert client.get(url).json()["weights"] == first
    shutil.copytree(OLD_RUNS / "language_model_letters", folder, dirs_exist_ok=True)
    _until(lambda: client.get(url).json()["weights"] != first)

    assert client.post(f"{session}/step", json={"inputs": "eal"}).json()["answers"] == told[3:]
    assert client.get(f"{session}/snapshot").status_code == 200
    kept = client.get(f"{session}/snapshot").content
    assert client.post(f"{url}/sessions/restore", content=kept).status_code == 409
    assert client.post(f"{url}/sessions").status_code == 201
    assert client.delete(session).status_code == 204
    served = client.app.state.house.served["lm"]  # type: ignore[attr-defined]
    _until(lambda: not served.older)
    assert client.get(session).status_code == 404
