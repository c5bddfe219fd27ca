"""What a client asks of a server, as values: what to send, and what to make of the answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ostinato.errors import RecipeError
from ostinato.serving.edge import trusting
from ostinato.serving.refused import RefusedError
from ostinato.tasks.intervening import Intervene


@dataclass(frozen=True)
class Call:
    """A request.

    Args:
        method, path: of HTTP.
        body: JSON; None: there is none.
        content: bytes instead.
        headers: further ones.
        safe: it may be sent again where no answer came: it then happens once.
    """

    method: str
    path: str
    body: Any = None
    content: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    safe: bool = True

    @property
    def options(self) -> dict[str, Any]:
        """For httpx."""
        found: dict[str, Any] = {"headers": self.headers}
        if self.body is not None:
            found["json"] = self.body
        if self.content is not None:
            found["content"] = self.content
        return found


def connection(url: str, token: str | None, timeout_s: float, certificate: str | Path | None) -> dict[str, Any]:
    """What a client of httpx is made with."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    return {"base_url": url, "headers": headers, "timeout": timeout_s, "verify": trusting(certificate)}


def answer_of(status: int, body: bytes) -> Any:
    """The JSON, or bytes, of an answer.

    Raises:
        RefusedError: for a problem, with the server's message and hint.
    """
    if status >= 400:
        raise problem_error(status, body)
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body


def problem_error(status: int, body: bytes) -> RefusedError:
    """The error that a server has answered with."""
    try:
        found = json.loads(body)
        title, detail = str(found.pop("title")), str(found.pop("detail"))
    except (ValueError, KeyError, AttributeError):
        return RefusedError(status, f"an answer of Ostinato was expected. Received: {status} {body[:200]!r}.")
    found.pop("status", None)
    hint = found.pop("hint", None)
    message = title if detail == title else f"{title} {detail}"
    return RefusedError(status, message, hint=hint, **found)


class Events:
    """Server-sent events, line by line."""

    def __init__(self) -> None:
        self._name = ""

    def take(self, line: str) -> Iterator[tuple[str, Any]]:
        """The event that a line completes.

        Raises:
            RefusedError: for a problem.
        """
        if line.startswith("event: "):
            self._name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data = line.removeprefix("data: ")
            if self._name == "problem":
                raise problem_error(int(json.loads(data)["status"]), data.encode())
            yield self._name, json.loads(data)


def sent(inputs: Any) -> Any:
    """Inputs as JSON has them: arrays of 16 bits as PCM, others as lists."""
    if not isinstance(inputs, np.ndarray):
        return inputs
    if inputs.dtype != np.int16:
        return inputs.tolist()
    return {"int16": base64.b64encode(inputs.astype("<i2").tobytes()).decode()}


def changed(intervene: Intervene | None) -> dict[str, Any]:
    """`intervene` as a member of a body, where there is any."""
    return {} if intervene is None else {"intervene": intervene}


class ModelCalls:
    """What is asked of a model."""

    def __init__(self, model: str) -> None:
        self._path = f"/v1/models/{model}"

    def predict(self, rows: Any, intervene: Intervene | None) -> Call:
        """Rows, or the path of a file."""
        if isinstance(rows, Path) and intervene is not None:
            raise RecipeError("`intervene` does not apply to a file that is sent: give its rows.")
        if isinstance(rows, Path):
            kind = {"content-type": "application/octet-stream"}
            return Call("POST", f"{self._path}/predict?name={rows.name}", content=rows.read_bytes(), headers=kind)
        return Call("POST", f"{self._path}/predict", {"rows": list(rows), **changed(intervene)})

    def score(self, inputs: Any) -> Call:
        """A whole sequence."""
        return Call("POST", f"{self._path}/score", {"inputs": sent(inputs)})

    def step(self, inputs: Any, state: str, answers: str, intervene: Intervene | None) -> Call:
        """Steps of a session that the client keeps."""
        body = {"inputs": sent(inputs), "state": state, "answers": answers, **changed(intervene)}
        return Call("POST", f"{self._path}/step", body)

    def generate(self, prompt: Any, options: dict[str, Any]) -> Call:
        """Text, or frames."""
        return Call("POST", f"{self._path}/generate", {"prompt": prompt, **options}, safe=False)

    def create(self, seed: int, sample_rate: int | None) -> Call:
        """A session."""
        rate = {} if sample_rate is None else {"sample_rate": sample_rate}
        return Call("POST", f"{self._path}/sessions", {"seed": seed, **rate}, safe=False)

    def restore(self, snapshot: bytes) -> Call:
        """A session from a snapshot."""
        return Call("POST", f"{self._path}/sessions/restore", content=snapshot, safe=False)


class SessionCalls:
    """What is asked of a session; counts its operations, so that one sent twice happens once."""

    def __init__(self, model: str, facts: dict[str, Any]) -> None:
        self.model, self.id, self.sequence = model, str(facts["session"]), int(facts["sequence"])
        self._path = f"/v1/models/{model}/sessions/{self.id}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.model!r}, {self.id!r})"

    def _numbered(self, what: str, body: dict[str, Any]) -> Call:
        return Call("POST", f"{self._path}/{what}", {**body, "sequence": self.sequence + 1})

    def _streamed(self, body: dict[str, Any]) -> Call:
        accept = {"accept": "text/event-stream"}
        return Call("POST", f"{self._path}/generate", body, headers=accept, safe=False)

    def _get(self, what: str = "", **query: Any) -> Call:
        words = "&".join(f"{key}={value}" for key, value in query.items() if value is not None)
        return Call("GET", self._path + (f"/{what}" if what else "") + (f"?{words}" if words else ""))
