"""Whatever is sent to the routes that OpenAPI describes, the server does not fail, and answers as it says.

A few cases in the suite; more by hand: `OSTINATO_CASES=10000 pytest tests/unit/serving/test_any_request.py`."""

from __future__ import annotations

import json
import os
import random
import warnings
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient
from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.run import load
from ostinato.serving.live import Limits

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import response_schema_conformance


@schemathesis.serializer("application/vnd.ostinato.snapshot", "application/x-ndjson", "*/*")
def _bytes(_: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value, default=str).encode("utf-8", "replace")


CASES = int(os.environ.get("OSTINATO_CASES", "60"))
TAGS = {"models", "sessions", "operations"}
MODELS = ("small", "films", "lm", "nobody")
_NOT_NOW = {503}
"""A server that has no room says so: that is no failure."""


@pytest.fixture
def client(start: Start) -> TestClient:
    return start(
        more={"lm": load(OLD_RUNS / "language_model_characters")},
        limits=Limits(max_sessions=50, max_steps=2_000),
        max_body_bytes=1 << 20,
    )


def test_no_request_makes_it_fail(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    found = schemathesis.openapi.from_dict(described).get_all_operations()
    operations = [one for result in found if TAGS & set((one := result.ok()).definition.raw["tags"])]
    assert len(operations) > 18
    draw = random.Random(0)
    sessions = {name: _session(client, name) for name in ("small", "lm")}
    counted = dict[int, int]()

    @seed(0)
    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def go(data: Any) -> None:
        case = data.draw(data.draw(st.sampled_from(operations)).as_strategy())
        _make_likely(case, draw, sessions, client)
        sent = case.as_transport_kwargs(base_url="http://testserver")
        wanted = ("method", "url", "params", "headers", "cookies", "json", "data")
        given_ = {key: value for key, value in sent.items() if key in wanted and value is not None}
        if isinstance(given_.get("data"), bytes | str):
            given_["content"] = given_.pop("data")
        client.cookies.clear()
        cookies = given_.pop("cookies", {})
        client.cookies.update(cookies if isinstance(cookies, dict) else {})
        try:
            answer = client.request(**given_)
        except UnicodeEncodeError:  # a header that no client can send
            return
        counted[answer.status_code] = counted.get(answer.status_code, 0) + 1
        if answer.status_code in _NOT_NOW:
            assert answer.headers["content-type"] == "application/problem+json"
            return
        assert answer.status_code < 500, (case.as_curl_command(), answer.text)
        case.validate_response(answer, checks=[not_a_server_error, response_schema_conformance])

    go()
    print("statuses:", dict(sorted(counted.items())))
    assert counted.get(200, 0) + counted.get(201, 0) > CASES // 20  # not all of it was rubbish


def _session(client: TestClient, model: str) -> str:
    return str(client.post(f"/v1/models/{model}/sessions").json()["session"])


def _make_likely(case: Any, draw: random.Random, sessions: dict[str, str], client: TestClient) -> None:
    """Names that there are: else nearly all would be answered by 404."""
    parameters = case.path_parameters
    if parameters and "model" in parameters and draw.random() < 0.9:
        parameters["model"] = model = draw.choice(MODELS)
        if "session" in parameters and draw.random() < 0.9:
            if model in sessions and client.get(f"/v1/models/{model}/sessions/{sessions[model]}").status_code != 200:
                sessions[model] = _session(client, model)
            parameters["session"] = sessions.get(model, "none")
    if case.method == "POST" and isinstance(case.body, dict) and draw.random() < 0.5:
        case.body = {key: value for key, value in case.body.items() if key != "sequence"}
        if "inputs" in case.body:
            case.body["inputs"] = draw.choice([1, [1, 2, 3], "a seal", ["a"], [[1.0]]])
