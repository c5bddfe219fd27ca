r"""The equivalence certificate: however a model is run, it must give the same numbers.

Every form (`equivalence_forms`) is run on every backend in float32 and float64 and compared with one baseline: packed
rows on the reference backend in the same dtype. The largest difference of outputs, final states and gradients is
reported, relative to the largest magnitude of its tensor.

Tolerance. Rounding errors add up over T steps and K layers like a random walk, :math:`\epsilon \sqrt{T K}` (N. Higham,
"Accuracy and Stability of Numerical Algorithms", 2nd ed. 2002, section 2.8), and a recurrence may amplify them. How
much this model does is measured: the float32 baseline against the float64 one, a distance of :math:`\delta`. So

.. math::
    \tau_{32} = \max(16 \epsilon_{32} \sqrt{TK}, 20 \delta), \qquad
    \tau_{64} = \max(10^{-12}, 20 \delta \epsilon_{64} / \epsilon_{32})

and never more than 1 %: a model in which rounding alone does more than that fails, since its numbers depend on how it
is run. Products in bfloat16 are compared with the full ones within :math:`\tau_{16} = \max(4 \epsilon_{16}, 2 \delta
\epsilon_{16} / \epsilon_{32})`, at most 25 %. What was saved and loaded must be the same bit for bit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ostinato.data.batching import Batch
from ostinato.diagnostics.equivalence_cases import Answer, Rebuild, WholeCase, make_case, reloaded
from ostinato.diagnostics.equivalence_certificate import Certificate, Comparison
from ostinato.diagnostics.equivalence_forms import AGAIN, RAGGED, SAVED, forms_of
from ostinato.diagnostics.equivalence_measure import Reading, check_numbers, differences, measure, tolerance
from ostinato.errors import BackendError, OstinatoError
from ostinato.kernels import dispatch
from ostinato.nn import RecurrentStack
from ostinato.probes.cases import Case, Form, Loss
from ostinato.probes.recurrences import Recurrence
from ostinato.types import Ragged

DTYPES = (torch.float32, torch.float64)
EVERY_FORM = "every form"


def verify(
    model: nn.Module, inputs: Ragged, *, loss: Loss | None = None, seed: int = 0, rebuild: Rebuild | None = None
) -> Certificate:
    """The certificate of a model on some rows, or of layers alone, as a test of a new cell may want it. The model
    is left as it is: copies are run, in evaluation mode.

    Args:
        model: a RecurrentStack, or a model of a task that says how it runs in every form (`TaskSpec.case`).
        inputs: token ids (sum L,), or vectors (sum L, I) for a stack; best with a row of length 1 and an empty one.
        loss: from the outputs to one number. They are (sum L, features), row after row, or, of a model with one answer
            a row, (N, K). By default a sum of all with fixed random weights.
        seed: of the loss, of the chunks' places and of the noise in the padding.
        rebuild: makes a fresh model from what it saves into a folder, for "saved and loaded"; by default a copy whose
            weights are emptied.

    Raises:
        RecipeError, ShapeError: if model and inputs don't fit.
        RunError: if the baseline's numbers are NaN or infinite.
        BackendError: if `OSTINATO_BACKEND` forces a backend.

    Example:
        >>> rows = Ragged.from_rows(torch.randn(12, 3), starts=[0, 7, 8], lengths=[7, 1, 4])
        >>> verify(RecurrentStack("gru", 3, 4), rows).passed
        True
    """
    cases = {dtype: make_case(model, inputs, dtype, loss, seed) for dtype in DTYPES}
    layers = sum(stack.num_layers for stack in cases[torch.float32].stacks)
    return _certify(cases, inputs.max_length * layers, _describe(model), rebuild)


def verify_model(
    model: nn.Module,
    batch: Batch,
    answer: Answer,
    parts: Sequence[Recurrence],
    *,
    seed: int = 0,
    rebuild: Rebuild | None = None,
) -> Certificate:
    """The certificate of a model of any task on a batch, and of each recurrence in it (`Certificate.parts`).

    The model as a whole is run on the batch and on each single row, on every backend, and compared in the loss of each
    answer and the gradients by all weights; its recurrences are run in every form, on the vectors and from the first
    states that reached them, with a random sum of their outputs as loss.

    Args:
        model: left as it is.
        batch: with its targets.
        answer: the loss of each answer, row after row.
        parts: its recurrences, as `recurrences` finds them.
        seed: as in `verify`.
        rebuild: as in `verify`.

    Raises:
        RunError: if the baseline's numbers are NaN or infinite.
        BackendError: if `OSTINATO_BACKEND` forces a backend.
    """
    depth = sum(part.inputs.max_length * sum(stack.num_layers for stack in part.stacks) for part in parts)
    whole = _certify(
        {dtype: WholeCase(model, batch, answer, dtype) for dtype in DTYPES}, depth, type(model).__name__, rebuild
    )
    found = []
    for part in parts:
        stacks, steps = nn.ModuleList(part.stacks), part.inputs.max_length
        cases = {dtype: Case(stacks, part.inputs, dtype, seed=seed, initial=part.initial) for dtype in DTYPES}
        found.append(_certify(cases, steps * len(stacks), _describe(stacks, part.name), None))
    return replace(whole, parts=tuple(found))


def _certify(cases: Mapping[torch.dtype, Case], depth: int, about: str, rebuild: Rebuild | None) -> Certificate:
    """All forms on all backends, `depth` being steps times layers."""
    if forced := os.environ.get(dispatch.ENVIRONMENT_VARIABLE):
        raise BackendError(
            f"{dispatch.ENVIRONMENT_VARIABLE} must not be set here: the certificate compares backends. "
            f"Received: {forced!r}."
        )
    single, double = (measure(cases[dtype], RAGGED) for dtype in DTYPES)
    check_numbers(double)
    distance = max(differences(single, double).known())
    allowed = {_name(dtype): tolerance(dtype, depth, distance) for dtype in (*DTYPES, torch.bfloat16)}
    rows = list(_undefined(cases[torch.float32]))
    for (dtype, case), baseline in zip(cases.items(), (single, double), strict=True):
        place = _Place(case, "reference", _name(dtype), baseline, allowed[_name(dtype)])
        rows += _on_every_backend(place, rebuild)
    if cases[torch.float32].wants_bf16:
        rows += _in_bf16(_Place(cases[torch.float32], "", "bf16", single, allowed["bf16"]))
    else:
        del allowed["bf16"]
    lengths = cases[torch.float32].inputs.lengths
    return Certificate(tuple(rows), about, tuple(lengths.tolist()), allowed)


@dataclass(frozen=True)
class _Place:
    """Where the forms of a case are run, and what they are compared with."""

    case: Case
    backend: str
    dtype: str
    baseline: Reading
    tolerance: float

    def compare(self, form: Form) -> Comparison:
        """One row of the table."""
        return self._attempt(form, lambda: (measure(self.case, form), self.baseline), self.tolerance)

    def compare_all(self, bf16: bool = False) -> Iterator[Comparison]:
        """Every form that is defined for the model; `bf16`: those in which products in bfloat16 happen."""
        for form in forms_of(self.case):
            if (form.undefined is None or self.case.one_way) and (form.bf16 or not bf16):
                yield self.compare(form)

    def compare_saved(self, rebuild: Rebuild | None) -> Comparison:
        """Bit for bit the model it was, in its weights and in what it computes on this backend."""

        def read() -> tuple[Reading, Reading]:
            loaded = reloaded(self.case, rebuild)
            loaded.run_on(self.backend)
            return measure(loaded, SAVED), measure(self.case, RAGGED)

        return self._attempt(SAVED, read, 0.0)

    def _attempt(self, form: Form, read: Callable[[], tuple[Reading, Reading]], allowed: float) -> Comparison:
        """What a form gave and what it should give, compared; an error is a difference, too."""
        try:
            found, wanted = read()
        except (OstinatoError, RuntimeError, ValueError, IndexError) as error:  # a user's cell may fail in some forms
            why = f"raised {type(error).__name__}: {str(error).splitlines()[0]}"
            return Comparison(form.name, self.backend, self.dtype, tolerance=allowed, passed=False, note=why)
        return self._judge(form.name, found, wanted, allowed)

    def _judge(self, form: str, found: Reading, baseline: Reading, allowed: float) -> Comparison:
        far = differences(found, baseline)
        figures = (far.outputs, far.final_state, far.gradients)
        beyond = [
            f"{name}: a difference of {figure:.1e}" + (f" in {far.where[name]}" if far.where[name] else "")
            for name, figure in zip(("outputs", "final state", "gradients"), figures, strict=True)
            if figure is not None and not figure <= allowed
        ]
        return Comparison(form, self.backend, self.dtype, *figures, allowed, not beyond, "; ".join(beyond))


def _on_every_backend(place: _Place, rebuild: Rebuild | None) -> Iterator[Comparison]:
    """All forms on all backends in one dtype; a backend that can't run is one row with its reason."""
    for backend, reason in _backends(place.case).items():
        if reason is not None:
            yield Comparison(EVERY_FORM, backend, place.dtype, note=f"can't run here: {reason}")
            continue
        here = replace(place, backend=backend)
        here.case.run_on(backend)
        if backend == "reference":
            yield Comparison(RAGGED.name, backend, place.dtype, 0.0, 0.0, 0.0, note="the baseline")
            yield here.compare(AGAIN)
        else:
            yield here.compare(RAGGED)
        yield from here.compare_all()
        yield here.compare_saved(rebuild)


def _in_bf16(place: _Place) -> Iterator[Comparison]:
    """The forms that multiply in bfloat16, against the baseline in full precision."""
    for backend, reason in _backends(place.case, frozenset({"bf16"})).items():
        here = replace(place, backend=backend)
        if reason is None:
            here.case.run_on(backend, "bf16")
            reason = _refusal(here.case)
        if reason is not None:
            yield Comparison(EVERY_FORM, backend, place.dtype, note=f"can't run here: {reason}")
            continue
        yield here.compare(RAGGED)
        yield from here.compare_all(bf16=True)
    place.case.run_on("reference")


def _refusal(case: Case) -> str | None:
    """Why this processor has no products in bfloat16, which the backend finds out as it runs; None: it has."""
    try:
        measure(case, RAGGED)
    except BackendError as error:
        return error.message
    return None


def _backends(case: Case, needs: frozenset[str] = frozenset()) -> dict[str, str | None]:
    """For each backend why it can't run all layers of the case, or None; the reference first."""
    found: dict[str, str | None] = {"reference": None} if not needs else {}
    for stack in case.stacks:
        own = needs | ({"noise"} if any(stack.zoneout) else set())
        for name, reason in dispatch.available(stack.cell, case.inputs.device, case.dtype, own).items():
            found[name] = found.get(name) or reason
    return found


def _undefined(case: Case) -> Iterator[Comparison]:
    for form in forms_of(case):
        if form.undefined is not None and not case.one_way:
            yield Comparison(form.name, "all", "all", note=f"not defined: {form.undefined}")


def _describe(model: nn.Module, name: str = "") -> str:
    stacks: Sequence[RecurrentStack] = [each for each in model.modules() if isinstance(each, RecurrentStack)]
    ways = " in both directions" if any(stack.bidirectional for stack in stacks) else ""
    sizes = ", ".join(f"{stack.input_size} to {stack.hidden_size}" for stack in stacks for _ in range(stack.num_layers))
    return f"{name or type(model).__name__}: {stacks[0].cell.name} {sizes}{ways}"


def _name(dtype: torch.dtype) -> str:
    return "bf16" if dtype == torch.bfloat16 else str(dtype).removeprefix("torch.")
