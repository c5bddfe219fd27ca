"""What a server refuses, and why."""

from __future__ import annotations

from typing import Any

from ostinato.errors import OstinatoError


class RefusedError(OstinatoError):
    """A request that can't be met.

    Args:
        status: the status of HTTP that says so.
        message: what was expected, and after `Received:` what was received.
        hint: what helps.
        more: further members of the answer, for programs: `expected=5`.
    """

    def __init__(self, status: int, message: str, *, hint: str | None = None, **more: Any) -> None:
        super().__init__(message, hint=hint)
        self.status, self.more = status, more


def unknown_session(session: str) -> RefusedError:
    """There is no such session, or it is another's, which is said alike."""
    return RefusedError(
        404, f"the id of a live session was expected. Received: {session[:80]!r}, of which there is none."
    )
