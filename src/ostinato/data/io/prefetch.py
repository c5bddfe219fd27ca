"""Reading ahead: the next items are made in a background thread while the present one is worked on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
_END = object()


def read_ahead(items: Iterable[Item], depth: int = 2) -> Iterator[Item]:
    """The same items in the same order; up to `depth` of them are made ahead, in one thread.

    What `items` raises is raised here, at its place. When the consumer stops early, the thread ends.
    """
    source = iter(items)
    with ThreadPoolExecutor(1, thread_name_prefix="ostinato-read") as pool:
        waiting: deque[Future[object]] = deque(pool.submit(next, source, _END) for _ in range(depth))
        try:
            while (item := waiting.popleft().result()) is not _END:
                waiting.append(pool.submit(next, source, _END))
                yield item  # type: ignore[misc]
        finally:
            pool.shutdown(cancel_futures=True)
