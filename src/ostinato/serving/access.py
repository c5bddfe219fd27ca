"""Who may use a server, and how much."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ostinato.errors import RecipeError
from ostinato.serving.refused import RefusedError

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Names by which a machine reaches itself."""
EVERYBODY = "everybody"
"""The owner of sessions where there are no tokens."""
_MOST_COUNTED = 10_000


def read_tokens(path: Path) -> dict[str, str]:
    """The owner of each token, by the token's SHA-256; the file has a line `NAME TOKEN` for each.

    Raises:
        RecipeError: for a file that can't be read, or a line that is not of this form.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"`--token-file` must name a text file. Received: {path}: {error}.") from error
    found = dict[str, str]()
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        if len(words) != 2 or len(words[1]) < 16:
            raise RecipeError(
                f"{path}:{number} must be a name and a token of 16 characters or more, with a blank between. "
                f"Received: {len(words)} words.",
                hint="a good token: python3 -c 'import secrets; print(secrets.token_urlsafe())'",
            )
        found[_digest(words[1])] = words[0]
    if not found:
        raise RecipeError(f"`--token-file` must hold a token. Received: {path}, which holds none.")
    return found


def only(token: str, owner: str) -> dict[str, str]:
    """As `read_tokens`, of one token."""
    return {_digest(token): owner}


class Access:
    """Knows tokens, and counts requests.

    Args:
        tokens: as `read_tokens` gives them; None: anybody may use the server.
        per_second: requests that a token may make, over ten seconds, or, without tokens, an address; 0: any number.
        clock: seconds.
    """

    def __init__(
        self, tokens: Mapping[str, str] | None, per_second: float = 0.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tokens, self._per_second, self._clock = tokens, per_second, clock
        self._left = dict[str, tuple[float, float]]()

    @property
    def has_tokens(self) -> bool:
        """Whether a token is needed."""
        return self._tokens is not None

    def owner(self, authorization: str | None) -> str:
        """Who makes a request, by its header.

        Raises:
            RefusedError: 401 without a token that is known.
        """
        if self._tokens is None:
            return EVERYBODY
        scheme, _, token = (authorization or "").partition(" ")
        owner = self._tokens.get(_digest(token.strip())) if scheme.lower() == "bearer" else None
        if owner is None:
            raise RefusedError(
                401,
                "a token that this server knows was expected. Received: "
                + ("none." if not authorization else "one that it does not know."),
                hint="send the header `Authorization: Bearer TOKEN`",
            )
        return owner

    def count(self, owner: str, scope: Mapping[str, Any]) -> None:
        """One request more.

        Args:
            owner: of it.
            scope: of ASGI: `client` is where it comes from, behind a proxy that is trusted what the proxy says.

        Raises:
            RefusedError: 429 for too many.
        """
        rate, who = self._per_second, owner if self.has_tokens else str((scope.get("client") or ("",))[0])
        if not rate:
            return
        now = self._clock()
        if len(self._left) >= _MOST_COUNTED:  # who has not asked for ten seconds has all of them again
            self._left = {name: one for name, one in self._left.items() if now - one[1] < 10}
        left, at = self._left.get(who, (10 * rate, now))
        left = min(10 * rate, left + (now - at) * rate)
        if left < 1:
            raise RefusedError(
                429,
                f"at most {rate:g} requests a second were expected. Received: more.",
                hint="send them later, or several steps in a request",
                retry_after_s=round((1 - left) / rate, 3),
            )
        self._left[who] = (left - 1, now)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
