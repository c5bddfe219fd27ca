"""An assistant's tools as assistants use them: the SDK's own client starts `ostinato mcp` and asks it."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from tests.conftest import Cli
from tests.serving import RUNS

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data to train on, a run that writes, and a secret outside."""
    found, draw = tmp_path_factory.mktemp("assistant"), random.Random(0)
    (found / "data").mkdir()
    rows = [(kind, " ".join(draw.choice(words.split()) for _ in range(5))) for kind, words in _KINDS * 60]
    (found / "data/films.csv").write_text("text,label\n" + "".join(f"{text},{kind}\n" for kind, text in rows))
    (found / "data/large.csv").write_text("text,label\n" + "a fine film,good\n" * 80_000)
    (found / "secret.csv").write_text("text,label\nsecret,a\n")
    (found / "data/link.csv").symlink_to(found / "secret.csv")
    shutil.copytree(RUNS / "language_model_characters", found / "runs/lm")
    return found


_KINDS = [("good", "fine good great film warm"), ("bad", "bad dull poor film cold")]


def _session(folder: Path, talk: Callable[[Ask, Any], Awaitable[None]]) -> None:
    words = ["mcp", "--data", "data", "--runs", "runs", "--max-minutes", "0.5", "--max-data-mb", "1"]
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "ostinato", *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )

    async def go() -> None:
        async with Client(server, read_timeout_seconds=120) as client:

            async def ask(tool: str, **arguments: Any) -> Any:
                found = await client.call_tool(tool, arguments)
                text = found.content[0].text  # type: ignore[union-attr]
                return text if found.is_error else json.loads(text)

            await talk(ask, client)

    asyncio.run(go())


def test_from_a_file_to_predictions(folder: Path) -> None:
    async def talk(ask: Ask, client: Any) -> None:
        tools = {one.name: one for one in (await client.list_tools()).tools}
        assert set(tools) >= {"describe_data", "train", "report", "predict", "generate", "diagnose", "list_runs"}
        assert all(one.description and one.input_schema["type"] == "object" for one in tools.values())
        listed = [one["data"] for one in (await ask("list_data"))["files"]]
        assert listed == ["films.csv", "large.csv"]

        described = await ask("describe_data", data="films.csv")
        assert (described["rows"], described["task"], described["problem"]) == (120, "classification", None)
        assert [one["name"] for one in described["columns"]][-2:] == ["text", "label"]
        columns = {key: described[key] for key in ("input", "target")}
        assert columns == {"input": "text", "target": "label"}
        told = await ask("train", data="films.csv", minutes=0.3, settings=["model.hidden_size=8"], **columns)
        while told["state"] in ("preparing", "training"):
            await asyncio.sleep(0.5)
            told = await ask("report", run=told["run"])
        assert told["state"] == "finished", told
        run = told["run"]
        assert told["figures"]
        assert {one["name"] for one in (await ask("list_runs"))["runs"]} == {run, "lm"}
        assert (await ask("report", run=run))["figures"] == told["figures"]

        made = await ask("predict", run=run, rows=["a fine warm film", "a dull cold film"])
        assert [one["label"] for one in made["predictions"]] == ["good", "bad"]
        whole = await ask("predict", run=run, data="films.csv")
        assert (whole["rows"], len(whole["predictions"])) == (120, 120)
        assert "accuracy" in (await ask("evaluate", run=run, data="films.csv"))["metrics"]
        found = await ask("diagnose", run=run, rows=8)
        assert {"advice", "gradient_horizon"} <= set(found)
        written = [(await ask("generate", run="lm", prompt="a seal", max_new_tokens=20, seed=1))["text"] for _ in "12"]
        assert written[0] == written[1]

    _session(folder, talk)


def test_what_is_refused_and_how_it_is_said(folder: Path) -> None:
    async def talk(ask: Ask, client: Any) -> None:
        for data in ("../secret.csv", str(folder / "secret.csv"), "link.csv", "/etc/passwd", "~/x", "imdb", ""):
            for tool, more in (("describe_data", {}), ("train", {}), ("evaluate", {"run": "lm"})):
                said = await ask(tool, data=data, **more)
                if data or tool != "describe_data":
                    assert isinstance(said, str), (tool, data, said)
                    assert "secret" not in said.replace("secret.csv", "")
        assert "did you mean films.csv?" in await ask("describe_data", data="filns.csv")
        assert "at most 1,048,576 bytes. Received: 'large.csv'" in await ask("train", data="large.csv")
        for settings in (["data.train=../secret.csv"], ["training.max_minutes=99"], ["nothing=1"]):
            assert "`settings` must" in await ask("train", data="films.csv", settings=settings)
        said = await ask("train", data="films.csv", minutes=3)
        assert "`minutes` must be above 0, and at most 0.5. Received: 3." in said
        assert "hint: " in said
        assert "Received: '../data'" in await ask("report", run="../data")
        assert "lm. Received: 'other'" in await ask("predict", run="other", rows=["a"])
        assert "Received: both, or none" in await ask("predict", run="lm")
        assert "must be from 1 to 20,000" in await ask("generate", run="lm", max_new_tokens=10**9)
        assert "language model" in await ask("predict", run="lm", rows=["a"])
        assert "minutes" in await ask("train", data="films.csv", minutes="soon")
        failed = await ask("train", data="films.csv", minutes=0.2, input="nothing", target="label", wait_s=60)
        assert failed["state"] == "failed"
        assert "nothing" in failed["job"]["problem"]["title"] + failed["job"]["problem"]["detail"]

    _session(folder, talk)


def test_what_can_not_be_started(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    found = cli("mcp", "--data", "nowhere")
    assert found.code == 1
    assert "`--data` must be a folder. Received: nowhere." in found.err
    monkeypatch.setitem(sys.modules, "mcp", None)
    found = cli("mcp")
    assert found.code == 1
    assert "pip install 'ostinato[mcp]'" in found.err
