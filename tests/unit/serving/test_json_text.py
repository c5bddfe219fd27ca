"""JSON, fast: byte for byte what Python's own library writes."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.serving.json_text import MOST_NESTED, json_bytes, json_of
from ostinato.serving.refused import RefusedError

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(
    [
        0.0,
        -0.0,
        1e-4,
        9.999e-5,
        1e-5,
        -1e-5,
        5e-324,
        1e15,
        9999999999999998.0,
        1e16,
        -1e16,
        1.5e300,
        123456789012345680.0,
    ]
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(
    ["1e5", ":1e5", "null", "[0.00001", "\x00\x1f\x7f\u2028"]
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | NUMBERS | TEXTS
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=12)


def plain(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_is_written_is_what_python_writes(value: Any) -> None:
    assert json_bytes(value) == plain(value)
    assert json_bytes({"answers": [{"nll": value}]}) == plain({"answers": [{"nll": value}]})


@pytest.mark.parametrize("value", [math.nan, math.inf, {"a": [1.0, -math.inf]}, "\ud800", np.float32(1), {1, 2}])
def test_what_no_json_is_made_of(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        json_bytes(value)


def test_keys_and_kinds_that_only_python_takes() -> None:
    assert json_bytes({1: (np.float64(0.5), True)}) == b'{"1":[0.5,true]}'


@pytest.mark.parametrize("text", ['{"a":[1,2.5,"\u00e4",null]}', "NaN", '"\\ud800"', "[1e400]", " 1 "])
def test_what_is_read_is_what_python_reads(text: str) -> None:
    assert repr(json_of(text)) == repr(json.loads(text))
    assert repr(json_of(text.encode())) == repr(json.loads(text))


HUGE = st.integers(-(10**40), 10**40) | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
BLANKS = st.sampled_from(["", " ", "\n", "\t  "])


@settings(max_examples=300, deadline=None)
@given(HUGE, BLANKS, st.sampled_from(["{}", "[{}]", "[1,{}]", '{{"id":{}}}', '[["1",{}],0.5]']))
def test_whole_numbers_stay_whole(number: int, blank: str, around: str) -> None:
    text = around.format(f"{blank}{number}{blank}")
    assert repr(json_of(text)) == repr(json_of(text.encode())) == repr(json.loads(text))


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_what_was_written_is_read_again(value: Any) -> None:
    assert repr(json_of(json_bytes(value))) == repr(value)


@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}"), ('[{"[":', "}]")])
def test_how_deep_it_may_be_nested(begin: str, end: str) -> None:
    most = MOST_NESTED // (begin.count("[{") + 1)
    assert json.dumps(json_of(begin * most + "0" + end * most)).count(begin.strip()[0]) >= most
    for depth in (most + 1, 900, 100_000):
        with pytest.raises(RefusedError, match="at most 100 lists and objects within each other"):
            json_of(begin * depth + "0" + end * depth)
    with pytest.raises(RefusedError):
        json_of("[" * 100_000)


@pytest.mark.parametrize("text", ["", "{", "{'a': 1}", "\ufeff1", "[" + "1" * 5000 + "]"])
def test_what_is_no_json_is_told_as_python_tells_it(text: str) -> None:
    with pytest.raises(ValueError, match=r".") as ours:
        json_of(text)
    with pytest.raises(ValueError, match=r".") as theirs:
        json.loads(text)
    assert str(ours.value) == str(theirs.value)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="reads its memory from /proc")
def test_answers_that_are_kept_take_no_more_than_their_bytes() -> None:
    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * int(next(one for one in lines if one.startswith("VmRSS")).split()[1])

    before = resident()
    kept = [json_bytes({"session": "x" * 30, "steps": number}) for number in range(20_000)]
    assert (resident() - before) / len(kept) < 1000
