"""Cells and kernels that err fail where they err, and nowhere else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from tests.unit.diagnostics.certified import LENGTHS, failed_forms, stack, vectors
from torch import Tensor

from ostinato.cells import Cell, Elman, Gru, Weights
from ostinato.diagnostics import verify
from ostinato.kernels import dispatch, native, reference, torch_backend
from ostinato.kernels.dispatch import Backend
from ostinato.types import State

BOTH = {"float32", "float64"}


class _Altered(Elman):
    """An Elman cell of another name."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


class _LooksAhead(_Altered):
    def project(self, x: Tensor, weights: Weights) -> Tensor:
        return super().project(x + torch.roll(x, -1, 0), weights)


class _MixesRows(_Altered):
    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        (h,) = super().step(x_projected, state, weights, mask)
        return (h - h.mean(0, keepdim=True),)


class _Remembers(_Altered):
    """Its memory between steps is no part of the state, and begins anew with every call."""

    memory: Tensor

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        self.memory = x.new_zeros(())
        return super().project(x, weights)

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        self.memory = self.memory + 0.1
        return super().step(x_projected + self.memory, state, weights, mask)


class _Counts(_Altered):
    """Its memory never begins anew."""

    steps = 0

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        self.steps += 1
        return super().step(x_projected + 0.01 * self.steps, state, weights, mask)


class _SeesPadding(_Altered):
    """Scales by the largest of all inputs at hand, padding included."""

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        return super().project(x / (1 + x.detach().abs().amax(0, keepdim=True)) if len(x) else x, weights)


class _ForgetsGradient(_Altered):
    """Truncates: the values are right, the gradient of the carried state is lost at the first step of a call."""

    first = False

    def project(self, x: Tensor, weights: Weights) -> Tensor:
        self.first = True
        return super().project(x, weights)

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        state = tuple(part.detach() for part in state) if self.first else state
        self.first = False
        return super().step(x_projected, state, weights, mask)


class _Fragile(_Altered):
    """Can't do without company at its first step."""

    def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
        if len(x_projected) == 1 and not state[0].abs().sum():
            raise ValueError("one row is not enough")
        return super().step(x_projected, state, weights, mask)


@pytest.mark.parametrize(
    ("cell", "forms"),
    [
        (_LooksAhead, {"padded, no lengths", "one at a time", "step by step", "chunked", "stream"}),
        (_MixesRows, {"padded, no lengths", "one at a time", "chunked", "stream"}),
        (_Remembers, {"step by step", "chunked", "stream"}),
        (_Counts, {"ragged, repeated", "padded, no lengths", "one at a time", "step by step", "chunked", "stream"}),
        (_SeesPadding, {"padded, no lengths", "one at a time", "step by step", "chunked", "stream"}),
        (_ForgetsGradient, {"step by step", "chunked"}),
    ],
)
def test_a_wrong_cell_fails_where_it_is_wrong(cell: type[_Altered], forms: set[str]) -> None:
    certificate = verify(stack(cell("mine")), vectors())
    assert not certificate.passed
    assert forms <= failed_forms(certificate)
    assert forms == failed_forms(certificate) or cell is _Counts
    assert {row.dtype for row in certificate.failures} == BOTH
    assert "NOT equivalent" in certificate.summary()
    for row in certificate.failures:
        assert ("outputs: a difference of" in row.note) == (cell is not _ForgetsGradient)
    if cell is _ForgetsGradient:
        assert {row.note.split(":")[0] for row in certificate.failures} == {"gradients"}
        assert any("weight_hh_l0" in row.note or "embedded inputs" in row.note for row in certificate.failures)


def test_a_cell_that_raises_in_some_form_fails_there() -> None:
    certificate = verify(stack(_Fragile("mine")), vectors())
    assert failed_forms(certificate) == {"one at a time"}
    assert all(row.note == "raised ValueError: one row is not enough" for row in certificate.failures)


def test_a_cell_derived_from_a_fused_one_is_not_run_as_that_one() -> None:
    """It keeps its parent's name, which must not lend it the parent's kernels."""

    class Half(Gru):
        def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
            (h,) = super().step(x_projected, state, weights, mask)
            return (h / 2,)

    certificate = verify(stack(Half()), vectors())
    assert certificate.passed, certificate.failures
    assert {row.backend for row in certificate.rows if row.passed} == {"reference"}


def _crooked(cell: Cell, values: Tensor, sizes: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    output, final = reference.scan(cell, values, sizes, state, weights)
    return output, (final[0] * (1 + 1e-9), *final[1:])


def test_a_wrong_kernel_fails_on_its_backend_alone() -> None:
    """Off by 1e-9 in the final state only: float32 can't see it, float64 must."""
    dispatch.register(Backend("crooked", lambda *_: None, _crooked))
    try:
        certificate = verify(stack("lstm"), vectors())
    finally:
        dispatch.unregister("crooked")
    assert {row.backend for row in certificate.failures} == {"crooked"}
    assert {row.dtype for row in certificate.failures} == {"float64"}
    ragged = next(row for row in certificate.failures if row.form == "ragged")
    assert ragged.note.startswith("final state: a difference of")
    assert "in h of layer 0" in ragged.note


@pytest.mark.skipif(native.missing_reason() is not None, reason="no native core")
def test_a_broken_native_kernel_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any, **options: Any) -> tuple[Tensor, list[State], list[State]]:
        output, finals, every = native.layer(*arguments, **options)
        return output * 1.001, finals, every

    monkeypatch.setitem(dispatch._BACKENDS, "native", replace(dispatch._BACKENDS["native"], layer=broken))
    certificate = verify(stack("gru", bidirectional=True), vectors())
    assert {row.backend for row in certificate.failures} == {"native"}
    assert failed_forms(certificate) == {
        "ragged",
        "padded",
        "one at a time",
    }  # saved: the same, wrongly


def test_a_gradient_lost_in_the_backward_pass_alone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(*arguments: Any) -> tuple[Tensor, State]:
        output, final = torch_backend.scan(*arguments)
        return output.detach() + (output - output.detach()) / 2, final

    monkeypatch.setitem(dispatch._BACKENDS, "torch", replace(dispatch._BACKENDS["torch"], scan=lossy))
    certificate = verify(stack("elman"), vectors())
    assert {row.backend for row in certificate.failures} == {"torch"}
    assert all(row.note.startswith("gradients: a difference of 5.0e-01") for row in certificate.failures)
    assert {row.form for row in certificate.failures} >= {"ragged", "padded", "padded, no lengths", "one at a time"}


def test_the_certificate_as_json() -> None:
    certificate = verify(stack(_Counts("mine")), vectors())
    found = json.loads(json.dumps(certificate.to_dict(), allow_nan=False))
    assert found["passed"] is False
    assert found["lengths"] == list(LENGTHS)
    assert set(found["rows"][0]) == {
        "form", "backend", "dtype", "outputs", "final_state", "gradients", "tolerance", "passed", "note",
    }  # fmt: skip
