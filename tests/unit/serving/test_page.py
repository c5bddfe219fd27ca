"""What the page is made of, and what it asks of runs."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from tests.conftest import Cli
from tests.unit.serving.conftest import Start

from ostinato.run import load
from ostinato.serving.access import Access, only
from ostinato.serving.page.examples import examples
from ostinato.serving.page.routes import static_files
from ostinato.serving.page.tickets import Tickets
from ostinato.serving.refused import RefusedError
from ostinato.serving.served import Config
from ostinato.serving.server import Page
from ostinato.shelf.facts import run_details, run_facts
from ostinato.storage.locks import FolderLock

OLD_RUNS = Path(__file__).parents[2] / "fixtures/old_runs"
STATIC = Path(__file__).parents[3] / "src/ostinato/serving/page/static"


def test_the_libraries_are_as_they_were_published() -> None:
    lines = (STATIC / "vendor/SHA256SUMS").read_text().splitlines()
    for line in lines:
        expected, name = line.split()
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == expected
    assert {line.split()[1] for line in lines} == {path.name for path in (STATIC / "vendor").iterdir()} - {"SHA256SUMS"}


def test_all_files_are_served_and_none_names_another_host(start: Start) -> None:
    client, files = start(), static_files()
    assert {"index.html", "app.js", "style.css", "views/try.js", "vendor/htm-preact.js"} <= set(files)
    for name, content in files.items():
        answer = client.get("/" if name == "index.html" else f"/page/{name}")
        assert answer.content == content
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'")
        assert "unsafe" not in policy
        own = content.replace(b"http://www.w3.org/", b"")
        assert b"http://" not in own, name
        assert b"https://" not in own, name
    assert b"<script>" not in files["index.html"]
    assert b"<style" not in files["index.html"]


def test_a_file_is_not_sent_twice_and_no_other_is_sent(start: Start) -> None:
    client = start()
    tag = client.get("/page/app.js").headers["etag"]
    assert client.get("/page/app.js", headers={"if-none-match": tag}).status_code == 304
    for name in ("vendor/LICENSE-htm", "../routes.py", "%2e%2e/routes.py", "nothing.js"):
        assert client.get(f"/page/{name}").status_code == 404


def test_a_run_says_how_its_model_is_asked(start: Start) -> None:
    client = start()
    said = client.get("/v1/runs").json()
    assert ([one["name"] for one in said["runs"]], said["trains"]) == (["small", "films"], False)
    asked = client.get("/v1/runs/films/asked").json()
    assert asked["columns"] == [{"name": "text", "kind": "text", "is_file": False, "is_text": True}]
    found = client.get("/v1/runs/films").json()
    assert (asked["sessions"], found["served"], found["has_report"]) == (False, True, False)
    assert found["training"][-1][0] == found["steps"] == 16
    assert "films" in client.get("/v1/runs/fims").json()["title"]
    assert client.get("/v1/runs/films/report").status_code == 404
    refused = client.get("/v1/runs/films/explore", params={"steps": 30_000})
    assert (refused.status_code, refused.json()["title"][:7]) == (422, "`steps`")


@pytest.mark.parametrize(
    ("run", "column", "begins"),
    [
        ("classifier_text", "text", "story story funny plot"),
        ("classifier_wide_table", "t1:t8", [0.321, -1.244]),
        ("forecaster_direct", "input", [[-1.018, 4.795], [-1.174, 5.244]]),
    ],
)
def test_examples_are_of_the_data(run: str, column: str, begins: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(OLD_RUNS)
    found = examples(load(OLD_RUNS / run))[0][column]
    assert (found if isinstance(found, str) else found[:2]) == begins
    monkeypatch.chdir("/")
    assert examples(load(OLD_RUNS / "classifier_audio")) == []


def test_tokens_are_asked_for_before_a_run_is_shown(start: Start) -> None:
    client = start(tokens={hashlib.sha256(b"t" * 20).hexdigest(): "ann"})
    assert client.get("/").status_code == 200
    assert client.get("/v1/runs").status_code == 401
    assert client.get("/v1/runs", headers={"authorization": f"Bearer {'t' * 20}"}).status_code == 200


def test_facts_are_read_from_what_a_run_wrote(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("recipe.yaml", "features.json", "log.jsonl"):
        (run / name).write_bytes((OLD_RUNS / "classifier_text" / name).read_bytes())
    with FolderLock(run):
        assert run_facts("run", run)["state"] == "training"
    assert run_facts("run", run)["state"] == "unfinished"
    summary = json.loads((OLD_RUNS / "classifier_text/summary.json").read_text())
    summary["validation"]["intervals"] = {"accuracy": [0.8, 0.95]}
    summary["findings"] = [{"title": "few rows"}]
    (run / "summary.json").write_text(json.dumps(summary))
    (run / "baselines.json").write_text(json.dumps({"conclusion": "A baseline would do."}))
    (run / "report.html").write_text("<p>")
    found = run_details("run", run)
    assert (found["state"], found["figure"]["interval"], found["has_report"]) == ("finished", [0.8, 0.95], True)
    assert (found["conclusion"], found["findings"]) == ("A baseline would do.", [{"title": "few rows"}])
    (run / "log.jsonl").write_text("no json\n")
    assert run_facts("run", run)["state"] == "unreadable"


def test_a_token_is_asked_for_but_not_by_the_link_to_a_report(start: Start, tmp_path: Path) -> None:
    shutil.copytree(OLD_RUNS / "classifier_text", tmp_path / "films 2")
    (tmp_path / "films 2/report.html").write_text("<p>figures")
    client = start(more={"films 2": load(tmp_path / "films 2")}, tokens=only("s3cret", "page"), key=b"key")
    for path in ("/v1/runs", "/v1/models", "/v1/runs/films 2/report", "/v1/runs/films 2/report?ticket=0"):
        refused = client.get(path)
        assert (refused.status_code, refused.headers["content-type"]) == (401, "application/problem+json")
    assert client.get("/").status_code == 200
    known = {"authorization": "Bearer s3cret"}
    report = client.get("/v1/runs/films 2", headers=known).json()["report"]
    sent = client.get(report)
    assert (sent.text, sent.headers["referrer-policy"]) == ("<p>figures", "no-referrer")
    assert client.get(report.replace("films%202", "films")).status_code == 401
    (tmp_path / "films 2/report.html").write_text("<p>later")
    os.utime(tmp_path / "films 2/report.html", (1e9, 1e9))
    assert client.get(report).json()["detail"][:29] == "Received: an earlier one; the"
    assert client.get(report, headers=known).text == "<p>later"
    assert client.get(client.get("/v1/runs/films 2", headers=known).json()["report"]).text == "<p>later"
    assert client.get("/v1/runs/films", headers=known).json()["report"] is None


def test_a_ticket_counts_for_who_was_given_it(start: Start, tmp_path: Path) -> None:
    shutil.copytree(OLD_RUNS / "classifier_text", tmp_path / "films 2")
    (tmp_path / "films 2/report.html").write_text("<p>figures")
    known = {"authorization": "Bearer s3cret"}
    client = start(more={"films 2": load(tmp_path / "films 2")}, tokens=only("s3cret", "ann.b c"), per_second=0.3)
    report = client.get("/v1/runs/films 2", headers=known).json()["report"]
    said = [client.get(report).status_code for _ in range(5)]
    assert (said[0], said[-1]) == (200, 429)
    assert client.get("/v1/runs", headers=known).status_code == 429


def test_a_ticket_is_for_one_report_and_an_hour() -> None:
    now = [1000.0]
    tickets = Tickets(b"key", lambda: now[0])
    ticket = tickets.of("films", 17, "ann.b c")
    assert tickets.holder("films", ticket) == (17, "ann.b c")
    signed = ticket.split(".")[2]
    for run, other in (
        ("film", ticket),
        ("films", ticket.replace("17", "18")),
        ("films", ticket.replace("ann", "bob")),
        ("films", f"9{ticket}"),
        ("films", ""),
        ("films", "..."),
        ("films", "ä.ö.ü.ß"),
        ("films", hmac.digest(b"key", b"report of films", "sha256").hex()),
    ):
        with pytest.raises(RefusedError, match="another one"):
            tickets.holder(run, other)
    assert signed != Tickets(b"other", lambda: 1000.0).of("films", 17, "ann.b c").split(".")[2]
    now[0] += 3599
    tickets.holder("films", ticket)
    now[0] += 1
    with pytest.raises(RefusedError, match="an earlier one"):
        tickets.holder("films", ticket)


@pytest.mark.parametrize("words", [(), ("--no-token",)])
def test_a_browser_is_started_without_the_token(
    words: tuple[str, ...], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found, started = list[tuple[str, str, int]](), threading.Event()

    def started_with(url: str) -> None:
        file = Path(unquote(urlsplit(url).path))
        found.append((url, file.read_text() if file.is_file() else "", file.stat().st_mode & 0o777))
        started.set()

    def serve(_: object, __: object, ___: object, ____: object, page: Page) -> None:
        page.opened(page.at("http://127.0.0.1:1"))
        assert started.wait(10)

    monkeypatch.setattr("ostinato.serving.server.serve", serve)
    monkeypatch.setattr("webbrowser.open", started_with)
    said = cli("ui", tmp_path, *words)
    assert said.code == 0, said.err
    ((url, text, mode),) = found
    if words:
        assert url == "http://127.0.0.1:1"
        return
    file = Path(unquote(urlsplit(url).path))
    assert (url[:8], "token" in url, mode) == ("file:///", False, 0o600)
    assert not file.parent.exists()
    assert len(re.findall(r"http://127\.0\.0\.1:1/#token=[\w-]{32}\"", text)) == 2


@pytest.mark.parametrize("words", [(), ("--no-token",)])
def test_the_address_of_a_page_holds_its_token(
    words: tuple[str, ...], cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list[tuple[Config, Page]]()
    monkeypatch.setattr("ostinato.serving.server.serve", lambda _, config, __, ___, page: found.append((config, page)))
    assert cli("ui", tmp_path, "--no-browser", *words).code == 0
    (config, page), url = found[0], "http://127.0.0.1:1"
    if words:
        assert (config.tokens, page.at(url)) == (None, url)
        return
    token = page.at(url).removeprefix(f"{url}/#token=")
    assert Access(config.tokens).owner(f"Bearer {token}") == "page"
    assert len(token) == 32


def test_a_folder_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    said = cli("ui", str(tmp_path / "rnus"))
    assert said.code != 0
    assert "a folder of runs was expected" in said.err
    assert "which is not there" in said.err


@pytest.mark.parametrize("name", sorted(path.name for path in STATIC.rglob("*.js")))
def test_files_are_short(name: str) -> None:
    path = next(STATIC.rglob(name))
    assert "vendor" in path.parts or len(path.read_text().splitlines()) < 300
