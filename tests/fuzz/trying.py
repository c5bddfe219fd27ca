"""One attack: in a folder of its own, under a limit of time, and what it ended with."""

from __future__ import annotations

import random
import resource
import signal
import tempfile
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from ostinato.errors import OstinatoError
from tests.fuzz.attacks import ATTACKS

SECONDS = 25
MOST_BYTES = 1 << 30
"""By how much an attack may raise the peak of memory."""


@dataclass(frozen=True)
class Fault:
    """An attack that broke something: which, where, and the whole traceback."""

    what: str
    kind: str
    trace: str

    def __str__(self) -> str:
        return f"{self.what}\n{self.trace}"


class _TooLong(BaseException):
    """Beyond the limit of time."""


def attacked(name: str, seed: int) -> Fault | None:
    """Attack by a seed; None where it ended well, or in an `OstinatoError` of bounded length."""

    def stop(_: int, __: FrameType | None) -> None:
        raise _TooLong

    handler = signal.signal(signal.SIGALRM, stop)
    with tempfile.TemporaryDirectory() as folder:
        what, attack = ATTACKS[name](random.Random(f"{name} {seed}"), Path(folder))
        before = _peak()
        signal.alarm(SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                attack()
        except OstinatoError as error:
            return Fault(what, "a message without end", str(error)[:500]) if len(str(error)) > 8100 else None
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            last = traceback.extract_tb(error.__traceback__)[-1]
            ours = [at for at in traceback.extract_tb(error.__traceback__) if "/ostinato/" in at.filename] or [last]
            kind = f"{type(error).__name__} at {ours[-1].filename.rpartition('/ostinato/')[2]}:{ours[-1].name}"
            return Fault(what, kind, traceback.format_exc()[-1500:])
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, handler)
    grown = _peak() - before
    return Fault(what, f"more than {MOST_BYTES >> 20} MB", f"{grown >> 20} MB") if grown > MOST_BYTES else None


def _peak() -> int:
    """The most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
