"""Which backend runs a scan: the registry, the choice, and the record of what was chosen.

Names: ``auto`` takes the able backend of the highest priority and logs it once; ``reference``, ``torch``, ``native``,
``triton`` or a plug-in's own name take that one or raise with the reason. The environment variable ``OSTINATO_BACKEND``
forces one, whatever a layer asks for.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from ostinato import cells
from ostinato.cells import Cell, Weights
from ostinato.errors import BackendError
from ostinato.kernels import native, reference, torch_backend
from ostinato.kernels.directions import Scan, by_direction
from ostinato.kernels.noise import Noise
from ostinato.packing import in_transforms
from ostinato.types import Ragged, State
from ostinato.wording import meant

logger = logging.getLogger("ostinato")

ENVIRONMENT_VARIABLE = "OSTINATO_BACKEND"
_TABLE_SHARE = 4
"""A table is projected if it has at most this part of the tokens' number: gathering and scattering cost, too."""
ABILITIES = {
    "noise": "it does not support recurrent dropout or zoneout",
    "all_states": "it does not return the state after every step",
    "bf16": "it does not support bfloat16 products",
    "transforms": "it supports neither `torch.func` transforms (grad, vmap, jvp, ...) nor forward-mode derivatives",
}
"""What a backend may be able to do besides, and what is said of one that can't."""

Layer: TypeAlias = Callable[..., tuple[Tensor, list[State], list[State]]]
Reason: TypeAlias = Callable[[Cell, torch.device, torch.dtype], str | None]


@dataclass(frozen=True)
class Backend:
    """One way to run a scan.

    Args:
        name: what users call it.
        unavailable_reason: (cell, device, dtype) -> why it can't run there, or None if it can.
        scan: as ``reference.scan``, forward in time: for the other direction the rows are reversed. May be left out if
            there is a ``layer``. Without an ability it is called without the argument.
        priority: ``auto`` tries the higher ones first; ``reference`` has 0, ``torch`` 10, ``native`` 20.
        placeholder: a name that is reserved for a backend still to come; registering one replaces it.
        layer: ``(cell, batch, states, weights, noise=None, all_states=False, precision="full")``, arguments and
            returns as in ``dispatch.layer``, for a backend that takes both directions at once. Without an ability it is
            called without the argument.
        abilities: which of ``noise``, ``all_states``, ``bf16`` (the argument ``precision``) and ``transforms`` (those
            of ``torch.func``, and forward-mode derivatives, which are no argument) it can.
        reads_tables: whether its ``layer`` takes ``table``.
    """

    name: str
    unavailable_reason: Reason
    scan: Scan | None
    priority: int = 0
    placeholder: bool = False
    layer: Layer | None = None
    abilities: frozenset[str] = frozenset()
    reads_tables: bool = False

    def reason(
        self, cell: Cell, device: torch.device, dtype: torch.dtype, needs: frozenset[str] = frozenset()
    ) -> str | None:
        """Why it can't run ``cell`` there with the abilities needed, or None if it can."""
        lacking = [ABILITIES[need] for need in sorted(needs - self.abilities)] if needs else []
        return self.unavailable_reason(cell, device, dtype) or (" and ".join(lacking) or None)


_BACKENDS: dict[str, Backend] = {}
_LOGGED: set[tuple[str, str, str, torch.dtype, frozenset[str]]] = set()
_RECORD: ContextVar[list[str] | None] = ContextVar("ostinato_backend_record", default=None)


def register(backend: Backend) -> None:
    """Make ``backend`` available under its name.

    Raises:
        BackendError: if the name is ``auto``, or taken by a backend that is no placeholder.
    """
    known = _BACKENDS.get(backend.name)
    if backend.name == "auto" or (known is not None and not known.placeholder):
        raise BackendError(f"a backend named `{backend.name}` is registered already.")
    _BACKENDS[backend.name] = backend


def unregister(name: str) -> None:
    """Forget the backend called ``name``; a reserved name goes back to its placeholder."""
    _BACKENDS.pop(name, None)
    if name in _RESERVED:
        _BACKENDS[name] = _placeholder(name)


def available(
    cell: Cell | None = None,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    needs: frozenset[str] = frozenset(),
) -> dict[str, str | None]:
    """For each backend None if it can run ``cell`` (an LSTM by default) there with the abilities, else why not."""
    wanted = cell or cells.get("lstm")
    where = torch.device(device)
    return {name: backend.reason(wanted, where, dtype, needs) for name, backend in sorted(_BACKENDS.items())}


def choose(
    requested: str, cell: Cell, device: torch.device, dtype: torch.dtype, needs: frozenset[str] = frozenset()
) -> Backend:
    """The backend to run ``cell`` with.

    Args:
        requested: ``auto`` or a backend's name; ``OSTINATO_BACKEND``, where set, counts instead.
        cell, device, dtype: what is to run, and where.
        needs: abilities it must have, of ``ABILITIES``.

    Raises:
        BackendError: if the one asked for doesn't exist or can't run this.
    """
    forced = os.environ.get(ENVIRONMENT_VARIABLE)
    name = forced or requested
    asked_by = f"environment variable {ENVIRONMENT_VARIABLE}" if forced else "`backend`"
    if name == "auto":
        return _best(cell, device, dtype, needs)
    if name not in _BACKENDS:
        raise BackendError(
            f"{asked_by} must be one of auto, {', '.join(sorted(_BACKENDS))}. Received: {name!r}.",
            instead=meant(name, ["auto", *_BACKENDS]),
        )
    reason = _BACKENDS[name].reason(cell, device, dtype, needs)
    if reason is not None:
        raise BackendError(
            f"backend `{name}`, asked for by {asked_by}, can't run `{cell.name}` on {device.type} in {dtype}: "
            f"{reason}.",
            hint='backend="auto" takes the fastest one that can; `ostinato info` lists them.',
        )
    return _BACKENDS[name]


def check_name(requested: str) -> None:
    """Raise a BackendError unless ``requested`` is ``auto`` or a known backend, able or not."""
    if requested != "auto" and requested not in _BACKENDS:
        choose(requested, cells.get("lstm"), torch.device("cpu"), torch.float32)


def layer(
    requested: str,
    cell: Cell,
    batch: Ragged,
    states: Sequence[State],
    weights: Sequence[Weights],
    noise: Sequence[Noise | None] | None = None,
    all_states: bool = False,
    precision: str = "full",
    table: Tensor | None = None,
) -> tuple[Tensor, list[State], list[State]]:
    """Choose a backend and run one layer, in one direction or in both.

    Args:
        requested: ``auto`` or a backend's name.
        cell: the recurrence.
        batch: the input, values (sum L, I).
        states: for each direction its initial state, (N, H) each, in the order of the packed rows. The second direction
            reads every row from its last step to its first.
        weights: for each direction its weights.
        noise: for each direction its noise or None; zoneout, in the packed order of the batch, says for a step of the
            input what is kept there, whichever way the direction runs.
        all_states: return the state after every step as well.
        precision: ``full``, or ``bf16`` for products in bfloat16 with sums and state in float32.
        table: (V, I), with values (sum L,) that are its row numbers: the input is ``table[values]``. A backend that
            ``reads_tables`` projects the table in place of every token where the table is small.

    Returns:
        outputs (sum L, D*H); for each direction its state at each row's own end, an empty row's being as it began; and
        with ``all_states`` for each direction each tensor of the state after every step, (sum L, H) in the packed order
        of the batch, else nothing.
    """
    given = noise if noise is not None and any(each is not None for each in noise) else None
    outputs_tell = len(cell.state_names) == 1 and type(cell).output is Cell.output
    options: dict[str, Any] = {} if given is None else {"noise": given}
    if all_states and not outputs_tell:
        options["all_states"] = True
    needs = frozenset(options)
    if precision != "full":
        options["precision"], needs = precision, needs | {precision}
    if not torch.compiler.is_compiling() and (in_transforms() or forward_ad._current_level >= 0):
        needs |= {"transforms"}
    like = batch.values if table is None else table
    backend = choose(requested, cell, like.device, like.dtype, needs)
    if table is not None:
        if backend.reads_tables and _TABLE_SHARE * len(table) <= len(batch.values):
            options["table"] = table
        else:
            batch = batch.with_values(F.embedding(batch.values, table))
    _note(backend.name, len(states))
    if backend.layer is not None:
        output, finals, every = backend.layer(cell, batch, states, weights, **options)
    elif backend.scan is not None:
        output, finals, every = by_direction(backend.scan, cell, batch, states, weights, options)
    else:
        raise BackendError(f"backend `{backend.name}` was registered with neither `scan` nor `layer`.")
    if all_states and outputs_tell:
        every = [(part,) for part in output.chunk(len(states), dim=1)]
    return output, finals, every


def _note(name: str, times: int) -> None:
    seen = None if torch.compiler.is_compiling() else _RECORD.get()
    if seen is not None:
        seen.extend([name] * times)


@contextmanager
def record() -> Iterator[list[str]]:
    """Collect the name of the backend of every scan run inside the ``with`` block, in order: one a layer and direction.

    Example:
        >>> with record() as ran:
        ...     _ = nn.LSTM(3, 4, backend="reference")(torch.zeros(5, 2, 3))
        >>> ran
        ['reference']
    """
    seen: list[str] = []
    token = _RECORD.set(seen)
    try:
        yield seen
    finally:
        _RECORD.reset(token)


def _best(cell: Cell, device: torch.device, dtype: torch.dtype, needs: frozenset[str]) -> Backend:
    how = f" with {', '.join(sorted(needs))}" if needs else ""
    ranked = sorted(_BACKENDS.values(), key=lambda backend: -backend.priority)
    best = next((backend for backend in ranked if backend.reason(cell, device, dtype, needs) is None), None)
    if best is None:
        reasons = {backend.name: backend.reason(cell, device, dtype, needs) for backend in ranked}
        told = "; ".join(f"{backend.name}: {reasons[backend.name]}" for backend in ranked if not backend.placeholder)
        raise BackendError(
            f"no backend can run `{cell.name}`{how} on {device.type} in {dtype}. {told}.",
            hint='precision="full" runs everywhere.' if "bf16" in needs else None,
        )
    key = (best.name, cell.name, device.type, dtype, needs)
    if key not in _LOGGED:
        _LOGGED.add(key)
        logger.info("backend auto: `%s`%s on %s in %s runs with `%s`", cell.name, how, device.type, dtype, best.name)
    return best


_RESERVED = ("triton",)


def _placeholder(name: str) -> Backend:
    return Backend(name, lambda *_: "it comes with a later release", reference.scan, priority=-1, placeholder=True)


_PLAIN_LOOP = frozenset({"noise", "all_states", "transforms"})
register(Backend("reference", lambda *_: None, reference.scan, priority=0, abilities=_PLAIN_LOOP))
register(Backend("torch", torch_backend.unavailable_reason, torch_backend.scan, priority=10))
register(
    Backend(
        "native",
        native.unavailable_reason,
        None,
        priority=20,
        layer=native.layer,
        abilities=native.ABILITIES,
        reads_tables=True,
    )
)
for _name in _RESERVED:
    register(_placeholder(_name))
