"""A process that serves: it listens, says so, and stops without losing what it has begun."""

from __future__ import annotations

import errno
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from ostinato.errors import RunError
from ostinato.serving.access import LOOPBACK
from ostinato.serving.app import make_app
from ostinato.serving.house import House
from ostinato.serving.live import Ended
from ostinato.serving.metrics import Metrics
from ostinato.serving.patience import patient
from ostinato.serving.reload import Reopen
from ostinato.serving.routes_stream import Connections
from ostinato.serving.served import Config, Observers, Served, serve_run
from ostinato.serving.workshop.workshop import Workshop

_DRAIN_S = 20
"""Seconds that requests have to end in once the server is told to stop."""
_KEEP_ALIVE_S = 30
_GARBAGE = (5_000, 10, 200)
"""When cycles are looked for: among the youngest objects, the young and all of them (`gc.set_threshold`)."""


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Args:
        host: a name or an address of this machine.
        port: 0: any that is free.
        certificate, key: files of TLS; none: without.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    certificate: Path | None = None
    key: Path | None = None

    def url(self, port: int) -> str:
        """What clients are told."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.certificate else 'http'}://{host}:{port}"


@dataclass(frozen=True)
class Page:
    """A page that shows a folder of runs to whoever sits at this machine, and trains further ones.

    Args:
        workshop: the folder.
        opened: receives the address of the page.
        token: that the address holds; None: none is asked for.
    """

    workshop: Workshop
    opened: Callable[[str], None]
    token: str | None = None

    def at(self, url: str) -> str:
        """Its address at a server: the token is a fragment, which no request and no log holds."""
        return url if self.token is None else f"{url}/#token={self.token}"


def serve(
    runs: Mapping[str, Path],
    config: Config,
    address: Address,
    say: Callable[[str], None],
    page: Page | None = None,
) -> None:
    """Serve runs until the process is told to stop (SIGTERM, SIGINT): what has begun is ended first.

    Args:
        runs: directories by the name they are served by.
        config: how.
        address: where.
        say: receives the address once it is listened at.
        page: also shows a folder of runs, each of which is opened when it is first asked for.

    Raises:
        RunError: for what is no run, or an address that can't be listened at.
    """
    with _listening(address) as listening:
        _serve(runs, config, address, listening, say, page)


def open_house(
    runs: Mapping[str, Path], config: Config, folders: Callable[[], Mapping[str, Path]] | None = None
) -> tuple[House, Metrics, Connections, Reopen]:
    """What an application is made of: open runs, what counts, who is told, and what opens a run again.

    Args:
        runs: directories by name.
        config: how they are served.
        folders: of further runs, opened when they are asked for.

    Raises:
        RunError: for what is no run.
    """
    metrics, connections = Metrics(), Connections()
    worker = ThreadPoolExecutor(1, thread_name_prefix="ostinato-worker")

    def ended(name: str, one: Ended) -> None:
        metrics.ended(name, one)
        connections.ended(name, one)

    observers = Observers(metrics.done, ended)

    def reopen(name: str, folder: Path) -> Served:
        return serve_run(name, folder, config, worker, observers)

    def more(name: str) -> Served | None:
        folder = None if folders is None else folders().get(name)
        return None if folder is None else reopen(name, folder)

    house = House({name: reopen(name, folder) for name, folder in runs.items()}, more)
    return house, metrics, connections, reopen


def _serve(
    runs: Mapping[str, Path],
    config: Config,
    address: Address,
    listening: socket.socket,
    say: Callable[[str], None],
    page: Page | None,
) -> None:
    folders = None if page is None else page.workshop.folders
    house, metrics, connections, reopen = open_house(runs, config, folders)
    for served in house.served.values():
        if served.reason is not None:
            say(f"{served.name} has no sessions: {served.reason.message}")
    logging.getLogger("ostinato.serving.requests").addHandler(_to_stderr())
    for_this = address.host in LOOPBACK and (config.tokens is None or page is not None)
    own = LOOPBACK if for_this else frozenset[str]()
    app = make_app(house, config, metrics, connections, reopen, own, None if page is None else page.workshop)
    settings = uvicorn.Config(
        app,
        http=patient(config.request_s),
        log_config=None,
        access_log=False,
        lifespan="on",
        server_header=False,
        ws_max_size=config.max_body_bytes,
        ws_per_message_deflate=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_DRAIN_S,
        proxy_headers=bool(config.proxies),
        forwarded_allow_ips=list(config.proxies),
        ssl_certfile=None if address.certificate is None else str(address.certificate),
        ssl_keyfile=None if address.key is None else str(address.key),
    )
    url = address.url(listening.getsockname()[1])
    url = url if page is None else page.at(url)
    say(f"serving {', '.join(runs) if page is None else f'the runs of {page.workshop.runs}'} at {url}")
    if page is not None:
        page.opened(url)
    with _rarely_collecting():
        _Server(settings, app).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Ends well when it is told to stop, and says before that it is not ready."""

    def __init__(self, settings: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(settings)
        self._app = app

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does, which in the end kills its process by the same signal."""
        before = {each: signal.signal(each, self.handle_exit) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, or, told again, stop at once."""
        self._app.state.ready = False
        super().handle_exit(sig, frame)


@contextmanager
def _rarely_collecting() -> Iterator[None]:
    """Python looks through all objects whenever they have grown by a quarter: with thousands of sessions for a third of
    a second, several times in ten. Sessions are no cycles, and go without that."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


def _listening(address: Address) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        listening = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise RunError(f"can't listen at {address.host}: {error.strerror}.") from error
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((address.host, address.port))
        listening.listen(2048)
    except OSError as error:
        listening.close()
        taken = error.errno == errno.EADDRINUSE
        raise RunError(
            f"can't listen at {address.host}, port {address.port}: {error.strerror}.",
            hint="--port 0 takes one that is free" if taken else None,
        ) from error
    return listening


def _to_stderr() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler
