"""`ostinato serve`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import note
from ostinato.cli.runs_given import check_run
from ostinato.errors import RecipeError

Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Run directories, each FOLDER or NAME=FOLDER.")]
Host = Annotated[str, typer.Option(help="Where to listen; 0.0.0.0: on all addresses.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="0: one that is free.")]
TokenFile = Annotated[Path | None, typer.Option(help="Who may use it: a line NAME TOKEN for each. None: anybody.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="32 bytes or more that sign snapshots; servers of one key share sessions.")
]
Store = Annotated[str, typer.Option(help="Where sessions are kept: memory, sqlite:FILE or redis://HOST:PORT.")]
MaxSessions = Annotated[int, typer.Option(min=1, help="Live sessions of a model.")]
MaxSessionsEach = Annotated[int, typer.Option(min=1, help="Of one token.")]
MaxMb = Annotated[int, typer.Option(min=1, help="Memory of a model's sessions; then the least used end.")]
ShareMb = Annotated[int, typer.Option(min=0, help="Memory of a model for what several sessions begin with; 0: none.")]
IdleS = Annotated[float, typer.Option(min=0.1, help="A session that is not used for so long ends.")]
MaxAgeS = Annotated[float, typer.Option(min=0.1, help="A session ends so long after it began.")]
History = Annotated[int, typer.Option(min=0, help="Steps that a session can be rewound.")]
MaxBatch = Annotated[int, typer.Option(min=1, help="Operations that are done together.")]
WaitMs = Annotated[float, typer.Option(min=0, help="What the first of them waits for others.")]
MaxSteps = Annotated[int, typer.Option(min=1, help="Steps of one request.")]
MaxBodyMb = Annotated[int, typer.Option(min=1, help="A request's body.")]
RequestS = Annotated[float, typer.Option(min=0.1, help="Seconds for each next part of a request.")]
RequestsPerSecond = Annotated[
    float, typer.Option(min=0, help="Of one token, or, without tokens, of one address; 0: any number.")
]
TrustedProxy = Annotated[
    list[str] | None,
    typer.Option(help="An address or network whose X-Forwarded-For says where requests come from; repeatable."),
]
TlsCertificate = Annotated[Path | None, typer.Option(help="A file of PEM, to serve https.")]
TlsKey = Annotated[Path | None, typer.Option(help="Its key.")]


def serve(
    runs: Runs,
    host: Host = "127.0.0.1",
    port: Port = 8000,
    token_file: TokenFile = None,
    key_file: KeyFile = None,
    store: Store = "memory",
    max_sessions: MaxSessions = 100_000,
    max_sessions_each: MaxSessionsEach = 100_000,
    max_mb: MaxMb = 2048,
    share_mb: ShareMb = 64,
    idle_s: IdleS = 3600.0,
    max_age_s: MaxAgeS = 604_800.0,
    history: History = 1024,
    max_batch: MaxBatch = 512,
    wait_ms: WaitMs = 0.0,
    max_steps: MaxSteps = 100_000,
    max_body_mb: MaxBodyMb = 16,
    request_s: RequestS = 10.0,
    requests_per_second: RequestsPerSecond = 0.0,
    trusted_proxy: TrustedProxy = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
) -> None:
    """Serve runs over HTTP: predictions, text as it is written, and sessions that keep their state."""
    from ostinato.media.extras import library
    from ostinato.serving.access import LOOPBACK, read_tokens
    from ostinato.serving.edge import check_tls, proxies_of
    from ostinato.serving.names import named_runs

    for name in ("fastapi", "uvicorn", "websockets", "prometheus_client", "orjson"):
        library(name, "serving", "serve")
    check_tls(tls_certificate, tls_key)
    proxies = proxies_of(trusted_proxy or [])
    folders = named_runs(runs)
    for folder in folders.values():
        check_run(folder)
    tokens = None if token_file is None else read_tokens(token_file)
    key = _key(key_file)
    if tokens is None and host not in LOOPBACK:
        note("no --token-file: anybody who reaches this machine may use these models")

    from ostinato.serving.engine import Pace
    from ostinato.serving.live import Limits
    from ostinato.serving.served import Config
    from ostinato.serving.server import Address
    from ostinato.serving.server import serve as serve_runs
    from ostinato.serving.session import Depth

    config = Config(
        Limits(max_sessions, max_sessions_each, max_mb << 20, idle_s, max_age_s, max_steps),
        Depth(history),
        Pace(max_batch, wait_ms),
        store,
        key,
        tokens,
        requests_per_second,
        max_body_mb << 20,
        request_s,
        share_mb << 20,
        proxies,
    )
    serve_runs(folders, config, Address(host, port, tls_certificate, tls_key), note)


def _key(file: Path | None) -> bytes:
    """The key that snapshots are signed with: of a file, or made for as long as the server lives."""
    if file is None:
        note("no --key-file: snapshots are signed with a key that ends with this server")
        return secrets.token_bytes(32)
    try:
        key = file.read_bytes()
    except OSError as error:
        raise RecipeError(f"`--key-file` must name a file. Received: {file}: {error.strerror}.") from error
    if len(key) < 32:
        raise RecipeError(
            f"`--key-file` must hold 32 bytes or more. Received: {file}, {len(key)} bytes.",
            hint=f"a good one: head -c 32 /dev/urandom > {file}",
        )
    return key
