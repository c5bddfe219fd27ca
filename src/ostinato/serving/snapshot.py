"""A session's state as portable, signed bytes: safetensors, so that any tool reads them and no other changes them."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ostinato.serving.refused import RefusedError
from ostinato.serving.session import Sampler, Session
from ostinato.tasks.streaming import StreamingModel

VERSION = 1
_KEYS = {"version", "weights", "task", "steps", "seed", "drawn", "ended", "expires", "signature"}


@dataclass(frozen=True)
class Seal:
    """Makes and opens snapshots of one model.

    Args:
        model: whose states they are.
        weights: the checksum of its weights.
        task: its name.
        key: signs; servers of one key take up each other's sessions.
    """

    model: StreamingModel
    weights: str
    task: str
    key: bytes

    def close(self, session: Session, expires: float | None = None) -> bytes:
        """A session as bytes of safetensors; `expires`: seconds, after which it is refused."""
        parts = self.model.named(session.state)
        about = {
            "version": str(VERSION),
            "weights": self.weights,
            "task": self.task,
            "steps": str(session.steps),
            "seed": str(session.sampler.seed),
            "drawn": str(session.sampler.drawn),
            "ended": str(int(session.ended)),
            "expires": "" if expires is None else repr(float(expires)),
        }
        return save(parts, {**about, "signature": self._sign(about, parts)})

    def open(self, data: bytes, session: Session, now: float) -> Session:
        """`session` in the state that a snapshot holds.

        Raises:
            RefusedError: for bytes that are no snapshot, forged, of other weights, or expired.
        """
        about, parts = _read(data)
        if about["version"] != str(VERSION):
            raise RefusedError(
                422, f"a snapshot of version {VERSION} was expected. Received: {about['version'][:20]!r}."
            )
        if not hmac.compare_digest(about.pop("signature").encode(), self._sign(about, parts).encode()):
            raise RefusedError(
                403,
                "a snapshot signed by this server's key was expected. Received: one that another key signed, or that "
                "was changed.",
                hint="start all servers that share sessions with the same `--key-file FILE`",
            )
        if about["weights"] != self.weights:
            raise RefusedError(
                409,
                f"a snapshot of the weights {self.weights} was expected. Received: one of {about['weights']}.",
                expected=self.weights,
                received=about["weights"],
            )
        if about["expires"] and now >= float(about["expires"]):
            raise RefusedError(
                410, f"a snapshot that has not expired was expected. Received: one until {about['expires']}."
            )
        return session._replace(
            state=self.model.joined(parts),
            steps=int(about["steps"]),
            sampler=Sampler(int(about["seed"]), int(about["drawn"])),
            ended=about["ended"] == "1",
        )

    def _sign(self, about: Mapping[str, str], parts: Mapping[str, np.ndarray]) -> str:
        """Of everything in it, in an order of its own: safetensors' is not fixed."""
        signed = hmac.new(self.key, json.dumps(about, sort_keys=True).encode(), hashlib.sha256)
        for name in sorted(parts):
            part = parts[name]
            signed.update(json.dumps([name, part.dtype.str, part.shape]).encode())
            signed.update(part.tobytes())
        return signed.hexdigest()


def _read(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """What a snapshot says of itself, and the tensors in it."""
    try:
        size = int.from_bytes(data[:8], "little")
        about: Any = json.loads(data[8 : 8 + size]).get("__metadata__")
        parts = load(data)
    except (SafetensorError, ValueError, AttributeError, RecursionError, KeyError, TypeError) as error:
        raise RefusedError(
            422, f"the bytes of a snapshot were expected. Received: {len(data):,} bytes that are none."
        ) from error
    if not isinstance(about, dict) or set(about) != _KEYS:
        raise RefusedError(422, "the bytes of a snapshot were expected. Received: safetensors that are none.")
    return about, parts
