"""Figures of labelled rows, and the description of all routes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.unit.serving.conftest import OLD_RUNS, Start

from ostinato.run import load
from ostinato.storage.files import json_ready

ROWS = [("a fine film", "pos"), ("a bad one", "neg"), ("no film", "neg"), ("fine", "pos"), ("a film", "pos")]


def test_figures_of_labelled_rows(start: Start, tmp_path: Path) -> None:
    run = load(OLD_RUNS / "classifier_text")
    label = str(run.recipe.data.target)
    classes = sorted(run.features.target.classes)  # type: ignore[union-attr]
    rows = [{"text": text, label: classes[kind == "pos"]} for text, kind in ROWS]
    table = f"text,{label}\n" + "".join(f"{row['text']},{row[label]}\n" for row in rows)
    (tmp_path / "t.csv").write_text(table)
    there = json.loads(json.dumps(json_ready(run.evaluate(tmp_path / "t.csv", save=False))))
    kept = (run.folder / "evaluation.json").is_file()
    client, url = start(), "/v1/models/films/evaluate"
    sent = client.post(f"{url}?name=t.csv", content=table, headers={"content-type": "text/csv"})
    assert sent.json()["metrics"] == there
    assert client.post(url, json={"rows": rows}).json()["metrics"] == there
    assert (run.folder / "evaluation.json").is_file() == kept
    for body in (
        {"rows": []},
        {"rows": ["a film"]},
        {"rows": [{"text": "a film"}]},
        {"rows": [{**rows[0], label: "odd"}]},
    ):
        refused = client.post(url, json=body)
        assert refused.status_code == 422, refused.text
        assert refused.headers["content-type"] == "application/problem+json"
        assert "/tmp" not in refused.text
    sounds = start(more={"sounds": load(OLD_RUNS / "classifier_audio")})
    refused = sounds.post("/v1/models/sounds/evaluate", json={"rows": [{"file": "/etc/passwd", "label": "a"}]})
    assert refused.status_code == 409, refused.text
    assert "a model of rows that need no further file" in refused.json()["title"]


def test_every_route_is_described(start: Start) -> None:
    described = start().get("/openapi.json").json()
    ours = {"models", "sessions", "operations"}
    found = list[str]()
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            if ours & set(one["tags"]):
                found += [f"{method} {path}: {lack}" for lack in _lacks(one, described)]
    assert found == []


def _lacks(one: dict[str, Any], described: dict[str, Any]) -> list[str]:
    good = {code: answer for code, answer in one["responses"].items() if code.startswith("2")}
    lacks = [] if len(one["summary"].split()) > 1 or one["summary"] == "Write" else ["a summary"]
    lacks += [] if len(one.get("description", "")) > 10 else ["a description"]
    for code, answer in good.items():
        content = answer.get("content", {})
        schemas = [kind for kind, said in content.items() if said.get("schema")]
        lacks += [] if schemas or code == "204" else [f"what {code} holds"]
    for code in ("4XX", "5XX"):
        ref = one["responses"][code]["content"]["application/problem+json"]["schema"]["$ref"]
        lacks += [] if ref.rpartition("/")[2] in described["components"]["schemas"] else [f"the problem of {code}"]
    lacks += [f"what `{given['name']}` is" for given in one.get("parameters", ()) if not given.get("description")]
    return lacks
