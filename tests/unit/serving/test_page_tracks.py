"""Long sequences over HTTP: made in the background, drawn by tiles, dropped."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient
from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.exploration import tracks_of
from ostinato.run import load
from ostinato.serving.page.jobs import Jobs, Progress
from ostinato.serving.refused import RefusedError


@pytest.fixture
def tracked(start: Start, tmp_path: Path) -> tuple[TestClient, Path, str]:
    """A language model that has followed 600 steps of a text."""
    folder = tmp_path / "tiny"
    shutil.copytree(OLD_RUNS / "language_model_characters", folder)
    run = load(folder)
    letters = "".join(run.features.text.vocabulary.tokens[5:15])
    client = start(more={"tiny": run})
    begun = client.post("/v1/runs/tiny/tracks", json={"source": "given", "given": letters * 80, "steps": 600})
    assert begun.status_code == 202
    return client, folder, _ended(client)["result"]["key"]


def _ended(client: TestClient, what: str = "tracks") -> dict[str, Any]:
    for _ in range(1000):
        job: dict[str, Any] = client.get(f"/v1/runs/tiny/{what}").json()["job"]
        if job["state"] not in ("reading", "following"):
            return job
        time.sleep(0.02)
    raise AssertionError("it never ended")


def test_a_track_is_made_drawn_asked_and_dropped(tracked: tuple[TestClient, Path, str]) -> None:
    client, folder, key = tracked
    base = f"/v1/runs/tiny/tracks/{key}"
    facts = client.get(base).json()
    assert (facts["num_steps"], facts["num_rows"], facts["data"][:6]) == (600, 1, "given:")
    name, units = next((name, one["units"]) for name, one in facts["series"].items())
    tile = client.get(f"{base}/tile", params={"series": name, "zoom": 1, "number": 0})
    assert (len(tile.content), tile.headers["x-columns"]) == (300 * units, "300")
    (track,) = tracks_of(folder)
    shades = np.frombuffer(tile.content, dtype=np.uint8).reshape(300, units)
    np.testing.assert_array_equal(shades, track.tile(name, 1, 0))

    line = client.get(f"{base}/line", params={"series": name, "unit": 2, "first": 100, "last": 200}).json()
    assert (line["first"], line["step"], len(line["mean"])) == (100, 1, 100)
    np.testing.assert_allclose(line["mean"], track.pyramids[name].values[100:200, 2], rtol=2e-3, atol=1e-6)
    step = client.get(f"{base}/step", params={"at": 30}).json()
    assert step["surprise"] > 0
    assert len(step["values"][name]) == units
    tokens = client.get(f"{base}/tokens", params={"first": 20, "last": 45}).json()["tokens"]
    assert tokens[:5] == tokens[20:]
    for by in ("unit", "constant", "cluster", "position"):
        found = client.get(f"{base}/order", params={"series": name, "by": by}).json()
        assert sorted(found["units"]) == list(range(units))
    moments = client.get(f"{base}/nearest", params={"at": 300, "count": 3}).json()["moments"]
    assert {abs(one["step"] - 300) % 10 for one in moments} == {0}
    assert moments[0]["distance"] < 0.05
    path = client.get(f"{base}/path", params={"first": 10, "last": 60}).json()
    assert [len(one) for one in (*path["all"], *path["span"])] == [600, 600, 50, 50]
    assert client.get(f"{base}/answer", params={"question": f"token == {tokens[0]!r}"}).json()["units"]

    assert client.delete(base).status_code == 204
    assert (client.get(base).status_code, tracks_of(folder)) == (404, [])


def test_what_is_no_track_is_refused(tracked: tuple[TestClient, Path, str]) -> None:
    client, _, key = tracked
    base = f"/v1/runs/tiny/tracks/{key}"
    for path, params, said in (
        (f"{base}/tile", {"series": "layer 9", "zoom": 0, "number": 0}, "`series` must be one of layer 1"),
        (f"{base}/line", {"series": "surprise", "unit": 3, "first": 0, "last": 9}, "`unit` must be below 1"),
        (f"{base}/line", {"series": "surprise", "first": 700, "last": 900}, "steps from 0 to 600 were expected"),
        (f"{base}/order", {"series": "layer 1.h", "by": "no question"}, "the question 'no question' can't be asked"),
        ("/v1/runs/tiny/tracks/0000", {}, "the key of a track was expected"),
        ("/v1/runs/none/tracks", {}, "the name of a run was expected"),
    ):
        answer = client.get(path, params=params)
        assert answer.status_code in (404, 422), answer.text
        assert answer.json()["title"].startswith(said)
    for body, said in (
        ({"source": "given"}, "`given` goes with"),
        ({"source": "validation", "given": "a"}, "`given` goes with"),
        ({"steps": 0}, "`steps`"),
    ):
        answer = client.post("/v1/runs/tiny/tracks", json=body)
        assert (answer.status_code, answer.json()["title"][: len(said)]) == (422, said)
    assert client.post("/v1/runs/tiny/tracks", json={"source": "given", "given": "\u2603"}).status_code == 202
    job = _ended(client)
    assert (job["state"], "never saw" in job["problem"]) == ("failed", True)


def test_what_is_inside_is_asked_over_http(tracked: tuple[TestClient, Path, str]) -> None:
    client, _, key = tracked
    base = "/v1/runs/tiny"
    parts = client.get(f"{base}/parts").json()
    assert parts["writes"]
    assert {"layer 1.h", "layer 2.c"} <= set(parts["parts"])
    assert "layer 1.f" in parts["gates"]
    prompt = "".join(client.get(f"{base}/tracks/{key}/tokens", params={"first": 0, "last": 12}).json()["tokens"])
    body = {"interventions": [parts["ideas"]["silence layer 2"]], "prompt": prompt, "begin": 3, "max_new_tokens": 20}
    found = client.post(f"{base}/intervene", json=body).json()
    assert found["untouched_nll"] != found["changed_nll"]
    refused = client.post(f"{base}/intervene", json={**body, "interventions": ["layer 9.h = 0"]})
    assert refused.json()["title"].startswith("the state has the parts layer 1.h")
    found = client.get(f"{base}/tracks/{key}/attribution", params={"at": 40, "steps": 20}).json()
    assert (found["first"], len(found["values"])) == (20, 20)
    assert client.post(f"{base}/jobs/points", json={"track": key, "token": ""}).status_code == 422
    begun = client.post(f"{base}/jobs/points", json={"track": key, "layer": 2, "iterations": 20, "starts": 4})
    assert begun.status_code == 202
    assert _ended(client, "jobs/points")["result"]["num_starts"] == 4
    assert client.post(f"{base}/jobs/reaching", json={"track": key, "lag": 3, "tried": 8}).status_code == 202
    assert len(_ended(client, "jobs/reaching")["result"]["moments"]) == 8
    assert client.post(f"{base}/jobs/ablation", json={}).status_code == 202
    assert _ended(client, "jobs/ablation")["state"] == "failed"  # its data are gone
    assert client.get(f"{base}/jobs/diagnosis").json() == {"job": None, "kept": None}
    assert client.get(f"{base}/jobs/anything").status_code == 422


def test_one_thing_is_at_work_and_can_be_stopped() -> None:
    jobs, going = Jobs(), threading.Event()

    def work(progress: Progress) -> dict[str, Any]:
        for number in range(10_000):
            progress(number, 10_000)
            going.set()
            time.sleep(0.001)
        return {}

    jobs.start("a", "track", {}, work)
    assert going.wait(10)
    with pytest.raises(RefusedError, match=r"nothing else may be at work\. Received: track of a"):
        jobs.start("b", "track", {}, work)
    jobs.stop("b", "track")
    jobs.stop("a", "track")
    for _ in range(400):
        if (jobs.last("a", "track") or {})["state"] == "stopped":
            break
        time.sleep(0.01)
    assert (jobs.last("a", "track") or {})["state"] == "stopped"
