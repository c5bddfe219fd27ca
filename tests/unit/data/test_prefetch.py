"""The background thread: order, errors, and an end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from ostinato.data.io.prefetch import read_ahead


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("ostinato-read")]


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_same_items_same_order(depth: int) -> None:
    assert list(read_ahead(range(20), depth)) == list(range(20))
    assert list(read_ahead([], depth)) == []
    assert _threads() == []


def test_items_are_made_ahead_but_not_further_than_depth() -> None:
    made: list[int] = []
    two = threading.Event()

    def items() -> Iterator[int]:
        for i in range(10):
            made.append(i)
            if len(made) == 3:
                two.set()
            yield i

    stream = read_ahead(items(), depth=2)
    assert next(stream) == 0
    assert two.wait(10)  # 1 and 2 are made while the consumer holds 0
    assert made == [0, 1, 2]
    assert list(stream) == list(range(1, 10))


def test_an_error_is_raised_at_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("broken")

    stream = read_ahead(items())
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(ValueError, match="broken"):
        next(stream)
    assert _threads() == []


def test_the_thread_ends_and_the_source_is_closed_when_the_consumer_stops() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    stream = read_ahead(items())
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert _threads() == []
    assert closed.is_set()
