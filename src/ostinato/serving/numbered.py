"""Operations that change a session have numbers: one that is sent twice happens once, and a second writer is told."""

from __future__ import annotations

import functools
import hashlib

from ostinato.serving.reading import Answers
from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Session


@functools.lru_cache(maxsize=1024)
def steps_named(answers: Answers, dtype: str, shape: tuple[int, ...]) -> bytes:
    """What steps are asked for, without their values."""
    return b"\0".join((b"step", answers.encode(), dtype.encode(), repr(shape).encode()))


def digest(*parts: bytes) -> bytes:
    """Of what is asked."""
    return hashlib.blake2b(b"\0".join(parts), digest_size=16).digest()


def again(session: Session, sequence: int | None, asked: bytes) -> bool:
    """Whether this is the last operation once more.

    Raises:
        RefusedError: if its number is not the next one.
    """
    expected = session.sequence + 1
    if sequence is None or sequence == expected:
        return False
    if sequence == session.sequence and session.asked == asked:
        return True
    raise RefusedError(
        409,
        f"`sequence` must be {expected}, the next one of this session. Received: {sequence}"
        + (", which another operation has taken." if sequence == session.sequence else "."),
        hint="look at the session to see where it stands: somebody else may go on with it, too",
        expected=expected,
    )


def check_going(session: Session) -> None:
    """Raises `RefusedError` for one whose text has ended."""
    if session.ended:
        raise RefusedError(
            409,
            "a session that goes on was expected. Received: one whose text has ended.",
            hint="rewind it to an earlier step",
        )
