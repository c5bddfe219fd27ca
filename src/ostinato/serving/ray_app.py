"""A Ray Serve application: replicas on many machines, each of which goes on with any session.

    serve run ostinato.serving.ray_app:build runs=runs/island,runs/reviews key_file=key replicas=4

A request may reach any replica. So sessions travel with the client (`POST /v1/models/NAME/step`: signed state in,
signed state out), or lie in a store that all replicas share (`store=redis://HOST:PORT`). Needs the extra `ray`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ostinato.errors import RecipeError
from ostinato.media.extras import library
from ostinato.serving.access import read_tokens
from ostinato.serving.app import make_app
from ostinato.serving.names import named_runs
from ostinato.serving.redis_store import SCHEMES
from ostinato.serving.served import Config
from ostinato.serving.server import open_house

_LEAST_KEY_BYTES = 32


def application(runs: Mapping[str, Path], config: Config, replicas: int = 2, num_cpus: float = 1.0) -> Any:
    """An application for `ray.serve.run`.

    Args:
        runs: directories by the name they are served by, at the same place on every machine.
        config: how they are served; `key` signs the states that travel, and must be the same for good.
        replicas: processes that answer.
        num_cpus: that Ray sets aside for each.

    Raises:
        MissingLibraryError: without Ray.
        RecipeError: for a key that is too short, or a store that replicas can't share.
    """
    serve = library("ray.serve", "a Ray Serve application", "ray")
    if len(config.key) < _LEAST_KEY_BYTES:
        raise RecipeError(
            f"replicas must share a key of {_LEAST_KEY_BYTES} bytes or more. Received: {len(config.key)} bytes.",
            hint="head -c 32 /dev/urandom > key",
        )
    if config.store != "memory" and config.store.partition(":")[0] not in SCHEMES:
        raise RecipeError(f"a store that replicas share was expected: redis://HOST:PORT. Received: {config.store}.")

    def replica() -> ASGIApp:
        house, metrics, connections, reopen = open_house(runs, config)
        return _Named(make_app(house, config, metrics, connections, reopen), serve.get_replica_context().replica_tag)

    made = serve.deployment(
        serve.ingress(replica)(), name="ostinato", num_replicas=replicas, ray_actor_options={"num_cpus": num_cpus}
    )
    return made.bind()


def build(args: Mapping[str, str]) -> Any:
    """What `serve run ostinato.serving.ray_app:build KEY=VALUE …` calls.

    Args:
        args: `runs` (separated by commas, NAME=FOLDER gives one another name), `key_file`, and, if wanted, `replicas`,
            `num_cpus`, `store`, `token_file`.

    Raises:
        RecipeError: as `application`; for an argument that there is none of.
    """
    unknown = set(args) - {"runs", "key_file", "replicas", "num_cpus", "store", "token_file"}
    if unknown or not {"runs", "key_file"} <= set(args):
        raise RecipeError(
            "`runs` and `key_file`, and, if wanted, `replicas`, `num_cpus`, `store`, `token_file` were expected. "
            f"Received: {', '.join(args) or 'nothing'}.",
        )
    config = Config(
        store=args.get("store", "memory"),
        key=Path(args["key_file"]).read_bytes(),
        tokens=read_tokens(Path(args["token_file"])) if "token_file" in args else None,
    )
    runs = {name: folder.resolve() for name, folder in named_runs(args["runs"].split(",")).items()}
    return application(runs, config, int(args.get("replicas", 2)), float(args.get("num_cpus", 1)))


class _Named:
    """Says which replica has answered, in a header."""

    def __init__(self, app: ASGIApp, name: str) -> None:
        self._app, self._name = app, name.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", ()), (b"x-replica", self._name)]}
            await send(message)

        await self._app(scope, receive, named)
