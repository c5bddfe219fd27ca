"""What may be asked of a session, by name, and the operation that it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from ostinato.serving.bodies import Body, Create, Rewind, Step, Write
from ostinato.serving.operations import Operation
from ostinato.serving.refused import RefusedError
from ostinato.serving.sessions import Sessions


def write(sessions: Sessions, who: str, session: str, body: Write) -> Operation:
    """Write steps as a body says."""
    return sessions.write(
        who,
        session,
        body.max_new_tokens,
        body.temperature,
        body.top_k,
        body.top_p,
        body.seed,
        body.sequence,
        body.alternatives,
        body.intervene,
    )


_OPERATIONS: dict[str, tuple[type[Body], Callable[[Sessions, str, str, Any], Operation]]] = {
    "create": (Create, lambda sessions, who, _, body: sessions.create(who, body.seed, body.sample_rate)),
    "step": (
        Step,
        lambda sessions, who, id, body: sessions.step(
            who, id, body.inputs, body.answers, body.sequence, body.intervene
        ),
    ),
    "generate": (Write, write),
    "rewind": (Rewind, lambda sessions, who, id, body: sessions.rewind(who, id, body.to, body.sequence)),
    "peek": (Body, lambda sessions, who, id, _: sessions.peek(who, id)),
    "finish": (Body, lambda sessions, who, id, _: sessions.finish(who, id)),
    "about": (Body, lambda sessions, who, id, _: sessions.about(who, id)),
    "fork": (Body, lambda sessions, who, id, _: sessions.fork(who, id)),
    "delete": (Body, lambda sessions, who, id, _: sessions.delete(who, id)),
}


def operation(sessions: Sessions, who: str, name: Any, session: str, body: Mapping[str, Any]) -> Operation:
    """An operation by its name.

    Args:
        sessions: of a model.
        who: asks.
        name: of the operation.
        session: that it is on; `create` looks at none.
        body: as the route of that name has it.

    Raises:
        RefusedError: for a name that there is none of, or another body.
    """
    if not isinstance(name, str) or name not in _OPERATIONS:
        raise RefusedError(422, f"`op` must be one of {', '.join(_OPERATIONS)}, attach. Received: {name!r:.80}.")
    kind, make = _OPERATIONS[name]
    try:
        found = kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RefusedError(422, f"`{where}`: {first['msg']}. Received: {first['input']!r:.80}.") from error
    return make(sessions, who, session, found)
