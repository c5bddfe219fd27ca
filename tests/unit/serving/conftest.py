"""An application that serves the small model of numpy, and a real classifier."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import pytest
from starlette.testclient import TestClient
from tests.unit.serving.fake import Bench, bench

from ostinato.run import Run, load
from ostinato.serving.app import make_app
from ostinato.serving.engine import Engine
from ostinato.serving.house import House
from ostinato.serving.metrics import Metrics
from ostinato.serving.routes_stream import Connections
from ostinato.serving.served import Config, Observers, Served, serve_run
from ostinato.serving.workshop.workshop import Workshop

OLD_RUNS = Path(__file__).parents[2] / "fixtures/old_runs"
Start = Callable[..., TestClient]


@pytest.fixture(scope="session")
def classifier() -> Run:
    return load(OLD_RUNS / "classifier_text")


@pytest.fixture
def start(classifier: Run) -> Iterator[Start]:
    """Start an application: `small` has sessions of the small model, `films` is a classifier without any."""
    with ExitStack() as stack:

        def started(
            b: Bench | None = None,
            more: Mapping[str, Run] | None = None,
            workshop: Workshop | None = None,
            **options: Any,
        ) -> TestClient:
            config, metrics, worker, connections = Config(**options), Metrics(), ThreadPoolExecutor(1), Connections()
            b = b or bench(limits=config.limits, depth=config.depth)
            b.on_ended = lambda ended: connections.ended("small", ended)
            engine = Engine(b.sessions, config.pace)
            small = Served("small", cast("Run", classifier), "w0", engine, None, worker)
            films = Served("films", classifier, "w1", None, None, worker)
            served = {"small": small, "films": films}
            nothing = Observers(lambda _, __: None, lambda _, __: None)

            def reopen(name: str, folder: Path) -> Served:
                return serve_run(name, folder, config, worker, nothing)

            for name, run in (more or {}).items():
                served[name] = reopen(name, run.folder)
            app = make_app(House(served), config, metrics, connections, reopen, workshop=workshop)
            return stack.enter_context(TestClient(app, raise_server_exceptions=False))

        yield started
