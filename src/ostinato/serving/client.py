"""`ostinato.Client`: a server's models and sessions from Python."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from ostinato.media.extras import library
from ostinato.serving.calls import Call, Events, ModelCalls, SessionCalls, answer_of, changed, connection, sent
from ostinato.tasks.intervening import Intervene

RETRIES, PAUSE_S = 3, 0.2


class Client:
    """A server.

    Args:
        url: where it listens.
        token: one that it knows; None: it asks for none.
        timeout_s: seconds to wait for an answer.
        certificate: a file of PEM that is trusted, of a server with https that no known authority vouches for.

    Raises:
        MissingLibraryError: without the extra `serve`.

    With a server of `runs/island` (tests/e2e/test_serving.py)::

        client = ostinato.Client("http://127.0.0.1:8000")
        session = client.session("island")
        session.step("Captain ")["answers"][-1]  # {'token': ' ', 'nll': 0.02}
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        token: str | None = None,
        timeout_s: float = 60.0,
        certificate: str | Path | None = None,
    ) -> None:
        self._httpx = library("httpx2", "a client", "serve")
        self._http = self._httpx.Client(**connection(url, token, timeout_s, certificate))

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def call(self, call: Call) -> Any:
        """Send a request, again where no answer came and that does no harm.

        Raises:
            RefusedError: what the server refused, with its message and hint.
        """
        for left in range(RETRIES if call.safe else 0, -1, -1):
            try:
                answer = self._http.request(call.method, call.path, **call.options)
                break
            except self._httpx.TransportError:
                if not left:
                    raise
                time.sleep(PAUSE_S)
        return answer_of(answer.status_code, answer.content)

    def events(self, call: Call) -> Iterator[tuple[str, Any]]:
        """Server-sent events as they come."""
        with self._http.stream(call.method, call.path, **call.options) as answer:
            if answer.status_code >= 400:
                answer_of(answer.status_code, answer.read())
            events = Events()
            for line in answer.iter_lines():
                yield from events.take(line)

    def models(self) -> list[dict[str, Any]]:
        """What is served."""
        found: list[dict[str, Any]] = self.call(Call("GET", "/v1/models"))["models"]
        return found

    def predict(self, model: str, rows: Any, intervene: Intervene | None = None) -> list[dict[str, Any]]:
        """Predictions of rows, or of a file (`pathlib.Path`), which is sent; `intervene` as of `Run.predict`."""
        found: list[dict[str, Any]] = self.call(ModelCalls(model).predict(rows, intervene))["predictions"]
        return found

    def score(self, model: str, inputs: Any) -> list[dict[str, Any]]:
        """What a model answers at each step of a sequence."""
        found: list[dict[str, Any]] = self.call(ModelCalls(model).score(inputs))["answers"]
        return found

    def generate(self, model: str, prompt: Any = "", **options: Any) -> Iterator[Any]:
        """What a model writes, piece by piece; options: `max_new_tokens`, `temperature`, `top_k`, `top_p`, `seed`,
        `intervene`."""
        for name, data in self.events(ModelCalls(model).generate(prompt, options)):
            if name != "end":
                yield next(iter(data.values()))

    def step(
        self,
        model: str,
        inputs: Any,
        state: str = "",
        answers: Literal["each", "last", "none"] = "each",
        intervene: Intervene | None = None,
    ) -> dict[str, Any]:
        """Read steps in a session that no server keeps: `answers`, and the `state` to give with the next ones."""
        found: dict[str, Any] = self.call(ModelCalls(model).step(inputs, state, answers, intervene))
        return found

    def session(self, model: str, seed: int = 0, sample_rate: int | None = None) -> ClientSession:
        """A new session of a model; `sample_rate`: Hz, of the sound that it will be given."""
        return ClientSession(self, model, self.call(ModelCalls(model).create(seed, sample_rate)))

    def restore(self, model: str, snapshot: bytes) -> ClientSession:
        """A session from a snapshot."""
        return ClientSession(self, model, self.call(ModelCalls(model).restore(snapshot)))


class ClientSession(SessionCalls):
    """A session of a server; `with` deletes it at the end. What changes it has a number, so that an answer that got
    lost is asked for again and nothing happens twice."""

    def __init__(self, client: Client, model: str, facts: dict[str, Any]) -> None:
        super().__init__(model, facts)
        self._client = client

    def __enter__(self) -> ClientSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.delete()

    def _change(self, what: str, **body: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._client.call(self._numbered(what, body))
        self.sequence = int(found["sequence"])
        return found

    def step(
        self, inputs: Any, answers: Literal["each", "last", "none"] = "each", intervene: Intervene | None = None
    ) -> dict[str, Any]:
        """Read one step or more: `answers`, and how many `steps` it has read; `intervene` as of `Run.predict`, for
        these steps."""
        return self._change("step", inputs=sent(inputs), answers=answers, **changed(intervene))

    def generate(self, max_new_tokens: int = 200, **options: Any) -> list[Any]:
        """Write, and read what is written; `temperature`, `top_k`, `top_p`, `seed`, `intervene`."""
        found: list[Any] = self._change("generate", max_new_tokens=max_new_tokens, **options)["pieces"]
        return found

    def stream(self, max_new_tokens: int = 200, **options: Any) -> Iterator[Any]:
        """As `generate`, piece by piece; where it breaks off, `about` says how far it came."""
        for name, data in self._client.events(self._streamed({"max_new_tokens": max_new_tokens, **options})):
            if name == "end":
                self.sequence = int(data["sequence"])
            else:
                yield next(iter(data.values()))

    def rewind(self, to: int) -> dict[str, Any]:
        """Back to the moment after step `to`."""
        return self._change("rewind", to=to)

    def peek(self) -> dict[str, Any]:
        """The answer as it stands."""
        found: dict[str, Any] = self._client.call(self._get("peek"))["answer"]
        return found

    def finish(self) -> list[dict[str, Any]]:
        """What would still be answered if nothing more came; the session stays as it is."""
        found: list[dict[str, Any]] = self._client.call(self._get("finish"))["answers"]
        return found

    def about(self) -> dict[str, Any]:
        """What the server knows of it."""
        found: dict[str, Any] = self._client.call(self._get())
        return found

    def fork(self) -> ClientSession:
        """A new session that goes on from here."""
        made = self._client.call(Call("POST", f"{self._path}/fork", safe=False))
        return ClientSession(self._client, self.model, made)

    def snapshot(self, lasting_s: float | None = None) -> bytes:
        """Its state, signed, to be kept by whoever likes."""
        found: bytes = self._client.call(self._get("snapshot", lasting_s=lasting_s))
        return found

    def delete(self) -> None:
        """End it."""
        self._client.call(Call("DELETE", self._path, safe=False))
