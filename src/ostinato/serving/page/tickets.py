"""What a link to a report holds in place of a token: a browser sends none with a link."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable

from ostinato.serving.refused import RefusedError

LASTING_S = 3600
"""How long a link is good for."""


class Tickets:
    """Links that open one report as it was written, for a while; who opens one counts as who was given it.

    Args:
        key: of the server; tickets are signed with one of their own that comes from it.
        clock: seconds since 1970, as all servers of the key have them.
    """

    def __init__(self, key: bytes, clock: Callable[[], float] = time.time) -> None:
        self._key, self._clock = hmac.digest(key, b"ostinato: tickets of reports", "sha256"), clock

    def of(self, run: str, written: int, owner: str) -> str:
        """A ticket for the report of a run that was written then (nanoseconds), for the owner of a token."""
        until = str(int(self._clock()) + LASTING_S)
        return f"{until}.{written}.{self._sign(run, until, str(written), owner)}.{owner}"

    def holder(self, run: str, ticket: str) -> tuple[int, str]:
        """When the report was written that a ticket is for, and who was given it.

        Raises:
            RefusedError: 401 for a ticket of another run, or one that has ended.
        """
        until, written, signed, owner = (*ticket.split(".", 3), "", "", "", "")[:4]
        if not hmac.compare_digest(signed.encode(), self._sign(run, until, written, owner).encode()):
            raise RefusedError(401, "a link of this run's page was expected. Received: another one.")
        if self._clock() >= int(until):
            raise ended()
        return int(written), owner

    def _sign(self, *facts: str) -> str:
        return hmac.new(self._key, json.dumps(facts).encode(), hashlib.sha256).hexdigest()


def ended() -> RefusedError:
    """For a link that was good once."""
    return RefusedError(
        401,
        f"a link of the last {LASTING_S // 60} minutes to the report as it is was expected. Received: an earlier one; "
        "the run's page, loaded again, has a new one.",
    )
