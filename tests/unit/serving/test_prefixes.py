"""Sessions that begin alike: what one has read nobody reads again, and nobody notices but by the clock."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from tests.unit.serving.conftest import Start
from tests.unit.serving.fake import Bench, Elman, bench

from ostinato.errors import RunError
from ostinato.serving.session import Depth
from ostinato.tasks.streaming import Read, Reading

PROMPT = np.random.default_rng(0).integers(0, 6, 2000).tolist()
REST = len(PROMPT) % 64
SEED = 3


class Counting(Elman):
    """Counts the steps that it reads; fails once, where it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.steps, self.fails = 0, False

    def read(self, batch: Sequence[Reading]) -> list[Read]:
        if self.fails:
            self.fails = False
            raise RunError("it fails")
        self.steps += sum(len(one.steps) for one in batch)
        return super().read(batch)


def _bench(**options: Any) -> tuple[Bench, Counting]:
    b = bench(make=Counting, **options)
    assert isinstance(b.model, Counting)
    return b, b.model


def _new(b: Bench, owner: str = "ada") -> str:
    return str(json.loads(b.sessions.do(b.sessions.create(owner)))["session"])


def _step(b: Bench, id: str, tokens: Any, answers: Any = "each", owner: str = "ada") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b.sessions.do(b.sessions.step(owner, id, tokens, answers)))
    return found


def _cold(tokens: list[int]) -> list[Any]:
    b = bench(shared_bytes=0)
    return list(json.loads(b.sessions.do(b.sessions.score(tokens)))["answers"])


def test_a_known_beginning_is_not_read_again() -> None:
    b, model = _bench()
    ids = [_new(b) for _ in range(4)]
    first = _step(b, ids[0], PROMPT)
    assert model.steps == 2000
    for id in ids[1:]:
        said = _step(b, id, PROMPT)
        assert said["answers"] == first["answers"] == _cold(PROMPT)
        assert b.sessions.live.find("ada", id).state.tobytes() == b.sessions.live.find("ada", ids[0]).state.tobytes()
    assert model.steps == 2000 + 3 * REST
    assert b.sessions.prefixes.steps == 3 * (2000 - REST)
    for id in ids:  # each goes on by itself, and back
        assert _step(b, id, [1, 2])["answers"] == _cold([*PROMPT, 1, 2])[-2:]
    b.sessions.do(b.sessions.rewind("ada", ids[1], 1500))
    assert _step(b, ids[1], [3])["answers"] == _cold([*PROMPT[:1500], 3])[-1:]


def test_what_begins_at_the_same_moment_is_read_once() -> None:
    b, model = _bench()
    ids = [_new(b) for _ in range(10)]
    said = b.sessions.do_all([b.sessions.step("ada", id, [*PROMPT, n % 6]) for n, id in enumerate(ids)])
    assert model.steps == 2000 - REST + 10 * (REST + 1)
    for n, one in enumerate(said):
        assert json.loads(one)["answers"] == _cold([*PROMPT, n % 6])


def test_who_reads_for_others_may_fail() -> None:
    b, model = _bench()
    ids = [_new(b) for _ in range(3)]
    model.fails = True
    said = b.sessions.do_all([b.sessions.step("ada", id, PROMPT[:64]) for id in ids])
    assert [isinstance(one, RunError) for one in said] == [False] * 3  # alone, the first of them did not fail again

    class Failing(Counting):
        def read(self, batch: Sequence[Reading]) -> list[Read]:
            if any(one.steps.values[0] == 5 and one.state.any() for one in batch):
                raise RunError("it fails")
            return super().read(batch)

    b = bench(make=Failing, depth=Depth(100, 4))
    ids = [_new(b) for _ in range(3)]
    said = b.sessions.do_all([b.sessions.step("ada", id, [1, 2, 3, 4, 5, 5, 5, 5]) for id in ids])
    assert all(isinstance(one, RunError) for one in said)
    assert json.loads(b.sessions.do(b.sessions.step("ada", ids[0], [1, 2, 3, 4])))["steps"] == 4


def test_as_far_as_they_are_alike_and_as_much_as_is_asked() -> None:
    b, model = _bench(depth=Depth(100, 4))
    _step(b, _new(b), [1, 2, 3, 4, 5, 0, 1, 2], "last")
    model.steps = 0
    said = _step(b, _new(b), [1, 2, 3, 4, 5, 0, 1, 3])
    assert model.steps == 8  # the answers to the first four had not been asked for
    assert said["answers"] == _cold([1, 2, 3, 4, 5, 0, 1, 3])
    _step(b, _new(b), [1, 2, 3, 4, 5, 0, 1, 3], "none")
    assert model.steps == 8
    assert _step(b, _new(b), [1, 2, 3, 4], "last")["answers"] == _cold([1, 2, 3, 4])[-1:]
    assert model.steps == 8


@pytest.mark.parametrize("depth", [Depth(100, 4), Depth(0, 4)])
def test_what_was_read_in_pieces_written_or_taken_back_is_not_mistaken(depth: Depth) -> None:
    """A session that left a known beginning must not be taken for one that went on with it."""
    b, _ = _bench(depth=depth)
    _step(b, _new(b), [1, 2, 3, 4, 5, 0, 1, 2, 3, 3, 3, 3])
    other = _new(b)
    for token in (1, 2, 3, 4):
        _step(b, other, token)
    assert _step(b, other, [5, 0, 1, 2, 0, 0, 0, 0])["answers"] == _cold([1, 2, 3, 4, 5, 0, 1, 2, 0, 0, 0, 0])[4:]
    wrote = _new(b)
    _step(b, wrote, [1, 2, 3, 4])
    pieces = json.loads(b.sessions.do(b.sessions.write("ada", wrote, 4, seed=SEED)))["pieces"]
    assert len(pieces) == 4
    assert _step(b, wrote, [5, 0, 1, 2])["answers"] == _cold([1, 2, 3, 4, *pieces, 5, 0, 1, 2])[-4:]
    if depth.steps:
        back = _new(b)
        _step(b, back, [1, 2, 3, 4, 5, 0, 1, 2])
        b.sessions.do(b.sessions.rewind("ada", back, 4))
        for token in (4, 4, 4, 4):
            _step(b, back, token)
        assert _step(b, back, [3, 3, 3, 3])["answers"] == _cold([1, 2, 3, 4, 4, 4, 4, 4, 3, 3, 3, 3])[-4:]
        b.sessions.do(b.sessions.rewind("ada", back, 0))
        _step(b, back, [1, 2, 3, 4, 5, 0, 1, 2])
        b.sessions.do(b.sessions.rewind("ada", back, 4))
        b.sessions.do(b.sessions.write("ada", back, 4, seed=SEED))
        assert _step(b, back, [3, 3, 3, 3])["answers"] == _cold([1, 2, 3, 4, *pieces, 3, 3, 3, 3])[-4:]
        b.sessions.do(b.sessions.rewind("ada", back, 0))
        assert _step(b, back, [1, 2, 3, 4])["answers"] == _cold([1, 2, 3, 4])


def test_owners_share_nothing() -> None:
    b, model = _bench()
    _step(b, _new(b), PROMPT[:128])
    _step(b, _new(b, "bob"), PROMPT[:128], owner="bob")
    assert model.steps == 256


def test_memory_is_bounded_and_none_may_be_wanted() -> None:
    b, model = _bench(shared_bytes=100_000)
    for n in range(30):
        _step(b, _new(b), np.roll(PROMPT, n)[:640].tolist())
    assert 0 < b.sessions.prefixes.num_bytes <= 100_000
    assert b.sessions.prefixes.num_bytes == sum(one.num_bytes for one in b.sessions.prefixes._known.values())
    b, model = _bench(shared_bytes=0)
    for _ in range(2):
        _step(b, _new(b), PROMPT)
    assert (model.steps, len(b.sessions.prefixes)) == (4000, 0)


def test_prometheus_hears_of_it(start: Start) -> None:
    client = start()
    for _ in range(2):
        session = client.post("/v1/models/small/sessions").json()["session"]
        client.post(f"/v1/models/small/sessions/{session}/step", json={"inputs": PROMPT})
    measured = client.get("/metrics").text
    assert f'ostinato_prefixes{{model="small"}} {float(2000 // 64)}' in measured
