"""Sessions: what each operation does, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save
from tests.unit.serving.fake import Bench, Elman, bench

from ostinato.errors import RowError
from ostinato.serving.live import Ended, Limits
from ostinato.serving.operations import Operation
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Depth
from ostinato.serving.stores import Change, MemoryStore


def _do(b: Bench, operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(b.sessions.do(operation))
    return found


def _new(b: Bench, owner: str = "ada") -> str:
    return str(_do(b, b.sessions.create(owner))["session"])


def _refused(b: Bench, operation: Operation, status: int, says: str) -> RefusedError:
    with pytest.raises(RefusedError, match=says) as caught:
        b.sessions.do(operation)
    assert caught.value.status == status
    return caught.value


def test_steps_cut_anyhow_give_the_same_answers() -> None:
    b, s = bench(depth=Depth(16, 4)), list[str]()
    tokens = [1, 5, 2, 0, 3, 3, 4, 1, 2]
    for cuts in ([9], [1] * 9, [4, 5], [3, 1, 5]):
        s.append(_new(b))
        at, said = 0, []
        for cut in cuts:
            said += _do(b, b.sessions.step("ada", s[-1], tokens[at : at + cut]))["answers"]
            at += cut
        assert len(said) == 9
        assert said == _do(b, b.sessions.step("ada", _new(b), tokens))["answers"]
    peeked = {json.dumps(_do(b, b.sessions.peek("ada", one))["answer"]) for one in s}
    assert len(peeked) == 1
    last = _do(b, b.sessions.step("ada", s[0], [1, 2, 3, 4, 5, 6], "last"))["answers"]
    assert last == _do(b, b.sessions.step("ada", s[1], [1, 2, 3, 4, 5, 6]))["answers"][-1:]
    assert _do(b, b.sessions.step("ada", s[0], [1] * 9, "none"))["answers"] == []


def test_many_sessions_are_read_in_one_call() -> None:
    b = bench()
    ids = [_new(b) for _ in range(5)]
    b.model.batches.clear()
    b.sessions.run([b.sessions.step("ada", id, 1) for id in [*ids, ids[0]]])
    assert b.model.batches == [5, 1]  # the second step of a session comes after its first


def test_a_step_sent_twice_happens_once() -> None:
    b = bench()
    s = _new(b)
    first = b.sessions.do(b.sessions.step("ada", s, [1, 2], sequence=1))
    assert b.sessions.do(b.sessions.step("ada", s, [1, 2], sequence=1)) == first
    assert _do(b, b.sessions.about("ada", s))["steps"] == 2
    error = _refused(b, b.sessions.step("ada", s, [3], sequence=1), 409, "which another operation has taken")
    assert error.more == {"expected": 2}
    _refused(b, b.sessions.step("ada", s, [3], sequence=7), 409, "`sequence` must be 2.* Received: 7")
    _refused(b, b.sessions.step("ada", s, [3], sequence=0), 409, "must be 2")
    assert _do(b, b.sessions.step("ada", s, [3], sequence=2))["sequence"] == 2


def test_a_fork_goes_its_own_way() -> None:
    b = bench()
    s = _new(b)
    _do(b, b.sessions.step("ada", s, [1, 2]))
    fork = str(_do(b, b.sessions.fork("ada", s))["session"])
    ours = b.sessions.do(b.sessions.step("ada", s, [3], "last"))
    theirs = b.sessions.do(b.sessions.step("ada", fork, [4], "last"))
    assert json.loads(ours)["answers"] != json.loads(theirs)["answers"]
    assert _do(b, b.sessions.rewind("ada", fork, 1))["steps"] == 1
    assert _do(b, b.sessions.about("ada", s))["steps"] == 3


def test_rewinding_replays_fewer_steps_than_are_kept_apart() -> None:
    b = bench(depth=Depth(steps=8, every=4))
    s = _new(b)
    tokens = [1, 5, 2, 0, 3, 3, 4, 1, 2, 6, 1, 0, 5, 5]
    for token in tokens:
        _do(b, b.sessions.step("ada", s, token, "none"))
    assert _do(b, b.sessions.about("ada", s))["first_step"] == 4
    cold = _new(b)
    _do(b, b.sessions.step("ada", cold, tokens[:7]))
    assert _do(b, b.sessions.rewind("ada", s, 7))["steps"] == 7
    assert _do(b, b.sessions.peek("ada", s))["answer"] == _do(b, b.sessions.peek("ada", cold))["answer"]
    _refused(b, b.sessions.rewind("ada", s, 3), 422, "must be a step from 4 to 7.*Received: 3")
    _refused(b, b.sessions.rewind("ada", s, 8), 422, "Received: 8")


def test_without_history_nothing_is_kept() -> None:
    b = bench(depth=Depth(steps=0))
    s = _new(b)
    _do(b, b.sessions.step("ada", s, [1] * 500))
    _refused(b, b.sessions.rewind("ada", s, 499), 422, "from 500 to 500")


def test_writing_goes_on_where_its_random_numbers_stand() -> None:
    b = bench(depth=Depth(32, 4))
    seed = next(n for n in range(50) if not _do(b, b.sessions.write("ada", _new(b), 9, seed=n))["ended"])
    whole, parts = _new(b), _new(b)
    said = _do(b, b.sessions.write("ada", whole, 9, seed=seed))
    pieces: list[int] = _do(b, b.sessions.write("ada", parts, 2, seed=seed))["pieces"]
    for num in (1, 4, 2):
        pieces += _do(b, b.sessions.write("ada", parts, num))["pieces"]
    assert pieces == said["pieces"]
    with_likely = _do(b, b.sessions.write("ada", _new(b), 9, seed=seed, alternatives=2))
    assert (with_likely["pieces"], with_likely["steps"]) == (pieces, said["steps"])
    assert with_likely["likely"] == [[]] * 9  # the small model tells none
    back = _do(b, b.sessions.rewind("ada", whole, 3))
    assert back["steps"] == 3
    assert _do(b, b.sessions.write("ada", whole, 6))["pieces"] == pieces[3:]


def test_a_text_that_has_ended_takes_no_step_until_rewound() -> None:
    b = bench()
    s = _new(b)
    seed = next(n for n in range(50) if _do(b, b.sessions.write("ada", _new(b), 20, seed=n))["ended"])
    said = _do(b, b.sessions.write("ada", s, 20, seed=seed))
    error = _refused(b, b.sessions.step("ada", s, 1), 409, "one whose text has ended")
    assert "rewind" in str(error.hint)
    if said["steps"]:
        _do(b, b.sessions.rewind("ada", s, said["steps"] - 1))
        _do(b, b.sessions.step("ada", s, 1))


def test_a_snapshot_goes_on_elsewhere() -> None:
    b, other = bench(), bench()
    s = _new(b)
    seed = next(n for n in range(50) if not _do(b, b.sessions.write("ada", _new(b), 8, seed=n))["ended"])
    _do(b, b.sessions.write("ada", s, 3, seed=seed))
    data = b.sessions.do(b.sessions.snapshot("ada", s))
    there = _do(other, other.sessions.restore("bob", data))
    assert (there["steps"], there["first_step"]) == (3, 3)
    assert (
        _do(other, other.sessions.write("bob", there["session"], 5))["pieces"]
        == (_do(b, b.sessions.write("ada", s, 5))["pieces"])
    )


def test_snapshots_that_are_refused() -> None:
    b = bench()
    s = _new(b)
    _do(b, b.sessions.step("ada", s, [1, 2]))
    data = b.sessions.do(b.sessions.snapshot("ada", s, lasting_s=60.0))
    about = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    changed = load(data)
    changed["layer.0.h"] = changed["layer.0.h"] + np.float32(1)
    for forged in (save(changed, about), save(load(data), {**about, "steps": "7"})):
        _refused(b, b.sessions.restore("ada", forged), 403, "or that was changed")
    foreign = bench(weights="w1")
    error = _refused(foreign, foreign.sessions.restore("ada", data), 409, "of the weights w1.*Received: one of w0")
    assert error.more == {"expected": "w1", "received": "w0"}
    stranger = bench(key=b"another")
    assert "--key-file" in str(_refused(stranger, stranger.sessions.restore("ada", data), 403, "another key").hint)
    for rubbish in (b"", b"x" * 40, b"\xff" * 9, save(load(data)), save(load(data), {"a": "b"}), data[:-1]):
        _refused(b, b.sessions.restore("ada", rubbish), 422, "snapshot")
    b.clock.now += 61
    _refused(b, b.sessions.restore("ada", data), 410, "that has not expired")


def test_other_peoples_sessions_are_as_if_there_were_none() -> None:
    b = bench()
    s = _new(b)
    of_nobody = _refused(b, b.sessions.peek("bob", "x" * 22), 404, "of which there is none")
    of_another = _refused(b, b.sessions.peek("bob", s), 404, "of which there is none")
    assert of_another.message.replace(s, "x" * 22) == of_nobody.message
    assert _do(b, b.sessions.all_of("bob"))["sessions"] == []
    assert [one["session"] for one in _do(b, b.sessions.all_of("ada"))["sessions"]] == [s]


def test_sessions_end_by_idleness_and_age() -> None:
    b = bench(limits=Limits(idle_s=10, max_age_s=25))
    idle, used = _new(b), _new(b)
    for _ in range(3):
        b.clock.now += 8
        _do(b, b.sessions.step("ada", used, 1))
    error = _refused(b, b.sessions.step("ada", idle, 1), 410, "because nobody used it")
    assert error.more == {"reason": "idle"}
    _refused(b, b.sessions.step("bob", idle, 1), 404, "of which there is none")
    b.clock.now += 8
    _new(b)
    assert b.ended == [Ended(idle, "ada", "idle"), Ended(used, "ada", "age")]
    assert len(b.sessions.live) == 1


def test_memory_ends_what_was_not_used_for_longest() -> None:
    b = bench(limits=Limits(max_bytes=4000))
    first, second = _new(b), _new(b)
    _do(b, b.sessions.step("ada", first, 1))
    while not b.ended:
        _new(b)
    assert b.ended == [Ended(second, "ada", "memory")]
    assert b.sessions.live.num_bytes <= 4000
    _refused(b, b.sessions.peek("ada", second), 410, "others needed its memory")


def test_limits_are_refused() -> None:
    b = bench(limits=Limits(max_sessions=3, max_sessions_each=2, max_steps=5))
    s = _new(b)
    _new(b)
    _refused(b, b.sessions.create("ada"), 429, "a token has at most 2")
    _new(b, "bob")
    _refused(b, b.sessions.fork("ada", s), 429, "a token has at most 2")
    _refused(b, b.sessions.create("cy"), 503, "at most 3 live sessions")
    _refused(b, b.sessions.step("ada", s, [1] * 6), 422, "from 1 to 5 steps.*Received: 6")
    _refused(b, b.sessions.step("ada", s, []), 422, "Received: 0")
    _refused(b, b.sessions.write("ada", s, 6), 422, "Received: 6")
    with pytest.raises(RowError, match="Received: 99"):
        b.sessions.do(b.sessions.step("ada", s, 99))
    b.sessions.do(b.sessions.delete("ada", s))
    _refused(b, b.sessions.peek("ada", s), 410, "it was deleted")
    _new(b)


class _Failing(MemoryStore):
    """A store whose disk is full."""

    fails = False

    def commit(self, changed: Sequence[Change], ended: Sequence[str]) -> None:
        if self.fails:
            raise OSError("no space")


def test_what_the_store_refuses_has_not_happened() -> None:
    store = _Failing()
    b = bench(store)
    s = _new(b)
    _do(b, b.sessions.step("ada", s, [1, 2]))
    before, num_bytes = b.sessions.do(b.sessions.about("ada", s)), b.sessions.live.num_bytes
    store.fails = True
    for operation in (b.sessions.step("ada", s, 3), b.sessions.delete("ada", s), b.sessions.create("ada")):
        with pytest.raises(OSError, match="no space"):
            b.sessions.do(operation)
    store.fails = False
    assert b.sessions.do(b.sessions.about("ada", s)) == before
    assert (len(b.sessions.live), b.sessions.live.num_bytes) == (1, num_bytes)


def test_no_session_keeps_the_batch_that_it_was_read_in() -> None:
    class Together(Elman):
        def _read(self, one: Any) -> Any:
            read = super()._read(one)
            return type(read)(np.stack([read.state] * 100)[0], read.answers)

    b = bench(make=Together)
    s = _new(b)
    _do(b, b.sessions.step("ada", s, 1))
    assert b.sessions.live.find("ada", s).state.base is None


def test_what_is_read_in_small_pieces_takes_little_memory() -> None:
    b = bench(depth=Depth(64, 64))
    one, other = (json.loads(b.sessions.do(b.sessions.create("ada")))["session"] for _ in range(2))
    for token in [1, 2, 3] * 20:
        b.sessions.do(b.sessions.step("ada", one, token))
    b.sessions.do(b.sessions.step("ada", other, [1, 2, 3] * 20, "last"))
    taken = [json.loads(b.sessions.do(b.sessions.about("ada", id)))["bytes"] for id in (one, other)]
    assert abs(taken[0] - taken[1]) < 10, taken  # an answer's digit
    for id in (one, other):
        b.sessions.do(b.sessions.rewind("ada", id, 31))
    assert len({json.loads(b.sessions.do(b.sessions.peek("ada", id)))["answer"]["value"] for id in (one, other)}) == 1
