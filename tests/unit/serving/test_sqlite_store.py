"""Sessions in a file: all or nothing, what was acknowledged, and one server at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tests.unit.serving.fake import bench

from ostinato.errors import RecipeError
from ostinato.serving.session import Depth
from ostinato.serving.sqlite_store import SqliteStore


def test_acknowledged_steps_survive_a_kill(tmp_path: Path) -> None:
    """A process steps sessions, says each answer, and is killed in the midst of it."""
    code = """
        import sys
        from pathlib import Path
        from tests.unit.serving.fake import bench
        from ostinato.serving.session import Depth
        from ostinato.serving.sqlite_store import SqliteStore
        import json
        b = bench(SqliteStore(Path(sys.argv[1]), "small", "w0"), depth=Depth(9, 4))
        ids = [json.loads(b.sessions.do(b.sessions.create("ada")))["session"] for _ in range(3)]
        for n in range(10_000):
            said = b.sessions.run([b.sessions.step("ada", id, [n % 7, (n + i) % 7]) for i, id in enumerate(ids)])
            b.sessions.commit()
            print(b"\\n".join(said).decode(), flush=True)
    """
    file = tmp_path / "sessions.db"
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(file)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    told = [json.loads(process.stdout.readline()) for _ in range(100)]
    process.send_signal(signal.SIGKILL)
    told += [json.loads(line) for line in process.stdout.read().splitlines() if line.endswith("}")]
    process.wait()
    process.stdout.close()
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
