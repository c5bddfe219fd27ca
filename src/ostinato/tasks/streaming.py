"""Models read forward in time, for many sessions at once: what a server of recurrent state asks a task for."""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from ostinato.arrays import Array
from ostinato.errors import RunError
from ostinato.tasks.intervening import Edit, later
from ostinato.tasks.signature import TensorSpec

Answer = dict[str, Any]
"""What a model says at a step, ready for JSON."""


@dataclass(frozen=True)
class Steps:
    """Encoded steps of one session: values (L, ...), as the run's feature encodes them; what is changed while they are
    read."""

    values: Array
    edits: tuple[Edit, ...] = ()

    def __len__(self) -> int:
        return len(self.values)

    def cut(self, start: int, stop: int) -> Steps:
        """Some of them."""
        return Steps(self.values[start:stop], later(self.edits, start) if self.edits else ())

    def to_bytes(self) -> bytes:
        """The values, for `from_bytes`."""
        file = io.BytesIO()
        np.save(file, self.values, allow_pickle=False)
        return file.getvalue()

    @classmethod
    def from_bytes(cls, saved: bytes) -> Steps:
        """Raises `ValueError` for what `to_bytes` never wrote."""
        return cls(np.load(io.BytesIO(saved), allow_pickle=False))


class Reading(NamedTuple):
    """Steps to read from a state (S,); which answers are asked for: of each step, of the last one, or none."""

    steps: Steps
    state: Array
    answers: Literal["each", "last", "none"] = "last"

    @property
    def edits(self) -> tuple[Edit, ...]:
        """What is changed meanwhile."""
        return self.steps.edits


class Read(NamedTuple):
    """The state (S,) after what was read, and the answers."""

    state: Array
    answers: list[Answer]


@dataclass(frozen=True)
class Writing:
    """A continuation to draw from a state (S,); `drawn` numbers of the seed's sequence have been used before; `edits`
    change what reads the steps."""

    state: Array
    max_new_tokens: int = 64
    temperature: float = 1.0
    top_k: int | None = None
    top_p: float = 1.0
    seed: int = 0
    drawn: int = 0
    edits: tuple[Edit, ...] = ()


@dataclass(frozen=True)
class Written:
    """The state (S,) after what was written, which is read already; the steps; each of them as users know it; numbers
    of the seed's sequence used; whether it has ended."""

    state: Array
    steps: Steps
    pieces: list[Any]
    drawn: int
    ended: bool = False


@dataclass(frozen=True)
class Taken:
    """What a model makes of what it is given: `steps` to read from `state` (S,), and what is left over for later."""

    steps: Steps
    state: Array
    left: Array | None = None


class StreamingModel(ABC):
    """A run's model that goes forward in time, many sessions at once.

    A session is its state: one flat array of `dtype`, whose named parts are `states`. What a session is answered
    depends on its own inputs alone, to the last bit: not on who is read beside it, nor on how its steps are cut into
    calls. Not for several threads at once.
    """

    states: tuple[TensorSpec, ...]
    dtype: np.dtype[Any]
    given_a_step: int = 1
    """How much of what is given makes a step."""
    sample_rate: int | None = None
    """Hz, of a model that is given sound as it comes."""

    @property
    def facts(self) -> dict[str, Any]:
        """What one has to know to give it something, for JSON."""
        return {}

    @abstractmethod
    def zero(self) -> Array:
        """(S,), before the first step."""

    @abstractmethod
    def encode(self, given: Any) -> Steps:
        """One or more steps as a user gives them: what a cell of the input column may hold.

        Raises:
            RowError: for what can't be used.
        """

    def of_numbers(self, values: Array) -> Any:
        """Numbers (n,) or (n, C) as `encode` takes them."""
        return values.tolist()

    def take(self, given: Steps, state: Array) -> Taken:
        """What is to be read of what was encoded, which may be less than a step of it.

        Raises:
            RowError: for what there is no room for.
        """
        return Taken(given, state)

    def leave(self, state: Array, left: Array | None) -> Array:
        """A state that keeps what was left over; None: nothing was."""
        return state

    @abstractmethod
    def read(self, batch: Sequence[Reading]) -> list[Read]:
        """Read a piece of each of many sessions; the states given stay as they are."""

    @abstractmethod
    def peek(self, state: Array) -> Answer:
        """The answer as it stands, without a step."""

    def finish(self, state: Array) -> list[Answer]:
        """The answers still owed if nothing more comes: none, but of a model that answers later."""
        return []

    def changed(self, edits: Sequence[Edit]) -> Self:
        """The same model, parts of whose state are changed after every step, or gates at every step.

        Raises:
            RecipeError: for what names what is not there.
            RunError: for a model without layers of its own that go on from step to step.
        """
        raise RunError("this model's sessions keep no state of layers that could be changed.")

    @property
    def state_size(self) -> int:
        """S."""
        return sum(size_of(spec) for spec in self.states)

    def named(self, state: Array) -> dict[str, Array]:
        """The parts of a state by name, without copying."""
        parts = np.split(state, np.cumsum([size_of(spec) for spec in self.states])[:-1])
        return {spec.name: part for spec, part in zip(self.states, parts, strict=True)}

    def joined(self, parts: Mapping[str, Array]) -> Array:
        """The inverse of `named`.

        Raises:
            RunError: for parts of another model.
        """
        expected = {spec.name: size_of(spec) for spec in self.states}
        found = {name: part.size for name, part in parts.items()}
        if found != expected or any(part.dtype != self.dtype for part in parts.values()):
            raise RunError(f"a state of this model has the parts {expected} of {self.dtype}. Received: {found}.")
        return np.concatenate([parts[name].reshape(-1) for name in expected])


class WritingModel(StreamingModel):
    """A streaming model that goes on by itself, too."""

    @abstractmethod
    def write(self, batch: Sequence[Writing]) -> list[Written]:
        """Draw a continuation of each of many sessions.

        Raises:
            RecipeError: for options that describe no distribution.
        """


def size_of(spec: TensorSpec) -> int:
    """Numbers of a part of a state, of one row."""
    return int(np.prod([axis for axis in spec.shape if not isinstance(axis, str)]))


def no_stream(reason: str, hint: str | None = None) -> RunError:
    """Why a model has no sessions."""
    return RunError(f"this model can't be read step by step: {reason}.", hint=hint)
