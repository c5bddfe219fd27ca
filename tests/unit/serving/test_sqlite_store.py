"""Sessions in a file: all or nothing, what was acknowledged, and one server at a time."""

from __future__ import annotations

import itertools
import json
import os
import signal
from pathlib import Path

import pytest
from tests.unit.serving.fake import bench

from ostinato.errors import RecipeError
from ostinato.serving.session import Depth
from ostinato.serving.sqlite_store import SqliteStore


def _step_for_ever(file: Path, said: int) -> None:
    b = bench(SqliteStore(file, "small", "w0"), depth=Depth(9, 4))
    ids = [json.loads(b.sessions.do(b.sessions.create("ada")))["session"] for _ in range(3)]
    for n in itertools.count():
        done = b.sessions.run([b.sessions.step("ada", id, [n % 7, (n + i) % 7]) for i, id in enumerate(ids)])
        b.sessions.commit()
        os.write(said, b"".join(one + b"\n" for one in done))


def test_acknowledged_steps_survive_a_kill(tmp_path: Path) -> None:
    """A process steps sessions, says each answer, and is killed in the midst of it."""
    file, (heard, said) = tmp_path / "sessions.db", os.pipe()
    if (child := os.fork()) == 0:
        try:
            _step_for_ever(file, said)
        finally:
            os._exit(1)
    os.close(said)
    with os.fdopen(heard) as answers:
        told = [json.loads(answers.readline()) for _ in range(60)]
        os.kill(child, signal.SIGKILL)
        told += [json.loads(line) for line in answers if line.endswith("}\n")]
    os.waitpid(child, 0)
    last = {one["session"]: one for one in told}
    b = bench(SqliteStore(file, "small", "w0"), depth=Depth(9, 4))
    assert len(last) == 3
    for number, (id, one) in enumerate(last.items()):
        there = json.loads(b.sessions.do(b.sessions.about("ada", id)))
        assert there["sequence"] in (one["sequence"], one["sequence"] + 1)  # the last one may not have been said
        tokens = [token for n in range(there["sequence"]) for token in (n % 7, (n + number) % 7)]
        cold = json.loads(b.sessions.do(b.sessions.score(tokens)))["answers"]
        assert json.loads(b.sessions.do(b.sessions.peek("ada", id)))["answer"] == cold[-1]
        b.sessions.do(b.sessions.rewind("ada", id, there["first_step"] + 1))
        assert json.loads(b.sessions.do(b.sessions.peek("ada", id)))["answer"] == cold[there["first_step"]]
    b.sessions.live.close()


def test_a_file_has_one_server_and_its_own_weights(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "sessions.db"
    b = bench(SqliteStore(file, "small", "w0"))
    session = json.loads(b.sessions.do(b.sessions.create("ada", 2**63 - 1)))["session"]
    first = b.sessions.do(b.sessions.step("ada", session, [1, 2], sequence=1))
    with pytest.raises(RecipeError, match="held by another server"):
        SqliteStore(file, "small", "w0")
    SqliteStore(file, "large", "w0").close()
    b.sessions.live.close()
    other = bench(SqliteStore(file, "small", "w1"))
    assert len(other.sessions.live) == 0
    assert "1 sessions of other weights" in caplog.text
    other.sessions.live.close()
    again = bench(SqliteStore(file, "small", "w0"))
    assert again.sessions.do(again.sessions.step("ada", session, [1, 2], sequence=1)) == first
    again.sessions.do(again.sessions.delete("ada", session))
    again.sessions.live.close()
    assert len(bench(SqliteStore(file, "small", "w0")).sessions.live) == 0


def test_what_is_no_such_file(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    with pytest.raises(RecipeError, match="must name a file of SQLite"):
        SqliteStore(tmp_path / "text", "small", "w0")
    with pytest.raises(RecipeError, match="that can be made"):
        SqliteStore(tmp_path / "no/such", "small", "w0")
