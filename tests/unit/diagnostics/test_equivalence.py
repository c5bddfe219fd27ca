"""The certificate passes for every cell of the library, and fails at the right place for cells and kernels that err."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ostinato import cells
from ostinato.cells import Cell, Elman, Gru, Weights
from ostinato.diagnostics import Certificate, verify, verify_stack
from ostinato.diagnostics.equivalence_cases import make_case
from ostinato.diagnostics.equivalence_forms import NUM_CHUNKS, _bounds, forms_of
from ostinato.diagnostics.equivalence_measure import measure, tolerance
from ostinato.errors import BackendError, RecipeError, RunError, ShapeError
from ostinato.kernels import dispatch, native, reference, torch_backend
from ostinato.kernels.dispatch import Backend
from ostinato.nn import RecurrentStack, build
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.recipe import LanguageModelRecipe
from ostinato.training.weights import load_tensors
from ostinato.types import Ragged, State

LENGTHS = (9, 1, 0, 4, 7)
BOTH = {"float32", "float64"}
ONE_WAY = {"padded, no lengths", "step by step", "chunked", "stream"}


def _vectors(size: int = 3) -> Ragged:
    values = torch.randn(sum(LENGTHS), size, generator=torch.Generator().manual_seed(0))
    return Ragged.from_offsets(values, [0, 9, 10, 10, 14, 21])


def _ids(vocab_size: int = 12) -> Ragged:
    values = torch.randint(2, vocab_size, (sum(LENGTHS),), generator=torch.Generator().manual_seed(0))
    return Ragged.from_offsets(values, [0, 9, 10, 10, 14, 21])


def _stack(cell: Cell | str, **options: Any) -> RecurrentStack:
    torch.manual_seed(0)
    return RecurrentStack(cell, 3, 5, **options)


def _failed(certificate: Certificate) -> set[tuple[str, str]]:
    return {(row.form, row.backend) for row in certificate.failures}


def _forms(certificate: Certificate) -> set[str]:
    return {form for form, _ in _failed(certificate)}


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_of_the_library_is_equivalent(name: str) -> None:
    certificate = verify_stack(_stack(name, num_layers=2 if name == "lstm" else 1), _vectors())
    assert certificate.passed, certificate.failures
    compared = {(row.backend, row.dtype) for row in certificate.rows if row.passed}
    able = [backend for backend, reason in dispatch.available(cells.get(name)).items() if reason is None]
    assert compared == {(backend, dtype) for backend in able for dtype in BOTH}
    for row in certificate.rows:
        assert row.passed or row.note, "nothing is left out without a reason"


def test_what_is_compared_one_way() -> None:
    certificate = verify_stack(_stack("lstm"), _vectors())
    forms = {row.form for row in certificate.rows if row.backend == "torch" and row.passed}
    assert forms == {"ragged", "padded", "one at a time", "saved and loaded", *ONE_WAY}
    for row in certificate.rows:
        if row.passed:
            assert row.outputs is not None
            assert (row.final_state is None) == (row.form == "padded, no lengths")
            assert (row.gradients is None) == (row.form == "stream")
    saved = [row for row in certificate.rows if row.form == "saved and loaded"]
    assert {(row.outputs, row.final_state, row.gradients, row.tolerance) for row in saved} == {(0.0, 0.0, 0.0, 0.0)}


def test_what_reads_backwards_has_no_steps() -> None:
    certificate = verify_stack(_stack("gru", bidirectional=True), _vectors())
    undefined = {row.form: row for row in certificate.rows if row.backend == "all"}
    assert set(undefined) == ONE_WAY
    assert all(row.passed is None and "not defined" in row.note for row in undefined.values())
    assert not any(row.form in ONE_WAY for row in certificate.rows if row.backend != "all")


def test_a_backend_that_cannot_run_is_listed_with_its_reason() -> None:
    certificate = verify_stack(_stack("gru_reset_before"), _vectors())
    absent = {(row.backend, row.dtype): row.note for row in certificate.rows if row.passed is None and row.note}
    assert "no fused layer" in absent["torch", "float64"]
    assert "later release" in absent["triton", "float32"]
    zoneout = verify_stack(_stack("gru", zoneout=0.2), _vectors())
    assert zoneout.passed
    assert any(row.backend == "torch" and "zoneout" in row.note for row in zoneout.rows)


def test_stacks_of_every_shape() -> None:
    tall = build("lstm", 3, 5, num_layers=2, proj_size=2, dropout=0.5, recurrent_dropout=0.5, batch_first=True)
    certificate = verify_stack(tall.train(), _vectors())
    assert certificate.passed, certificate.failures
    assert tall.training
    assert tall.backend == "auto"
    assert verify_stack(_stack("elman", bias=False, recompute=True), _vectors()).passed


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
        (_Counts, {"ragged, once more", "padded, no lengths", "one at a time", "step by step", "chunked", "stream"}),
        (_SeesPadding, {"padded, no lengths", "one at a time", "step by step", "chunked", "stream"}),
        (_ForgetsGradient, {"step by step", "chunked"}),
    ],
)
def test_a_wrong_cell_fails_where_it_is_wrong(cell: type[_Altered], forms: set[str]) -> None:
    certificate = verify_stack(_stack(cell("mine")), _vectors())
    assert not certificate.passed
    assert forms <= _forms(certificate)
    assert forms == _forms(certificate) or cell is _Counts
    assert {row.dtype for row in certificate.failures} == BOTH
    assert "NOT equivalent" in certificate.summary()
    for row in certificate.failures:
        assert ("outputs: a difference of" in row.note) == (cell is not _ForgetsGradient)
    if cell is _ForgetsGradient:
        assert {row.note.split(":")[0] for row in certificate.failures} == {"gradients"}
        assert any("weight_hh_l0" in row.note or "embedded inputs" in row.note for row in certificate.failures)


def test_a_cell_that_raises_in_some_form_fails_there() -> None:
    certificate = verify_stack(_stack(_Fragile("mine")), _vectors())
    assert _forms(certificate) == {"one at a time"}
    assert all(row.note == "raised ValueError: one row is not enough" for row in certificate.failures)


def test_a_cell_derived_from_a_fused_one_is_not_run_as_that_one() -> None:
    """It keeps its parent's name, which must not lend it the parent's kernels."""

    class Half(Gru):
        def step(self, x_projected: Tensor, state: State, weights: Weights, mask: Tensor | None = None) -> State:
            (h,) = super().step(x_projected, state, weights, mask)
            return (h / 2,)

    certificate = verify_stack(_stack(Half()), _vectors())
    assert certificate.passed, certificate.failures
    assert {row.backend for row in certificate.rows if row.passed} == {"reference"}


def _crooked(cell: Cell, values: Tensor, sizes: Tensor, state: State, weights: Weights) -> tuple[Tensor, State]:
    output, final = reference.scan(cell, values, sizes, state, weights)
    return output, (final[0] * (1 + 1e-9), *final[1:])


def test_a_wrong_kernel_fails_on_its_backend_alone() -> None:
    """Off by 1e-9 in the final state only: float32 can't see it, float64 must."""
    dispatch.register(Backend("crooked", lambda *_: None, _crooked))
    try:
        certificate = verify_stack(_stack("lstm"), _vectors())
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
    certificate = verify_stack(_stack("gru", bidirectional=True), _vectors())
    assert {row.backend for row in certificate.failures} == {"native"}
    assert _forms(certificate) == {"ragged", "padded", "one at a time"}  # what is saved computes the same, wrongly


def test_a_gradient_lost_in_the_backward_pass_alone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def lossy(*arguments: Any) -> tuple[Tensor, State]:
        output, final = torch_backend.scan(*arguments)
        return output.detach() + (output - output.detach()) / 2, final

    monkeypatch.setitem(dispatch._BACKENDS, "torch", replace(dispatch._BACKENDS["torch"], scan=lossy))
    certificate = verify_stack(_stack("elman"), _vectors())
    assert {row.backend for row in certificate.failures} == {"torch"}
    assert all(row.note.startswith("gradients: a difference of 5.0e-01") for row in certificate.failures)
    assert {row.form for row in certificate.failures} >= {"ragged", "padded", "padded, no lengths", "one at a time"}


def test_products_in_bfloat16_have_rows_and_a_tolerance_of_their_own() -> None:
    certificate = verify_stack(_stack("lstm", precision="bf16"), _vectors())
    assert certificate.passed, certificate.failures
    rows = [row for row in certificate.rows if row.dtype == "bf16"]
    assert {row.backend for row in rows} == set(dispatch.available())
    assert 0.03 <= certificate.tolerances["bf16"] <= 0.25
    native_rows = [row for row in rows if row.backend == "native"]
    if native.missing_reason() is None and native.has_bf16():
        assert "stream" not in {row.form for row in native_rows}
        assert all(row.passed and row.outputs is not None and row.outputs > 1e-5 for row in native_rows)
    else:
        assert all(row.passed is None and row.note for row in native_rows)
    assert "bf16" not in verify_stack(_stack("lstm"), _vectors()).tolerances


def _language_model(**settings: Any) -> LanguageModel:
    torch.manual_seed(0)
    recipe = LanguageModelRecipe.model_validate(
        {"task": "language_model", "embedding_dim": 4, "hidden_size": 6, **settings}
    )
    return LanguageModel(recipe, 12)


def test_language_models_read_tokens_and_stream_them() -> None:
    model = _language_model(num_layers=2, tie_embeddings=True, head_dropout=0.5, input_dropout=0.5).train()
    targets = _ids().values.flip(0)
    before = {name: weight.clone() for name, weight in model.named_parameters()}
    certificate = verify(model, _ids(), loss=lambda scores: F.cross_entropy(scores, targets, reduction="sum"))
    assert certificate.passed, certificate.failures
    forms = {row.form for row in certificate.rows if row.backend == "reference" and row.passed}
    assert {"token ids", "token stream", "stream", "chunked", "step by step"} <= forms
    assert model.training
    assert all(torch.equal(weight, before[name]) and weight.grad is None for name, weight in model.named_parameters())


def test_a_language_model_whose_stream_errs_fails_there(monkeypatch: pytest.MonkeyPatch) -> None:
    model = _language_model()
    head = model.head
    monkeypatch.setattr(LanguageModel, "head", lambda self: (head()[0] * 1.01, head()[1]))
    failed = _failed(verify(model, _ids()))
    assert failed <= {("token stream", "native")}
    assert failed or native.missing_reason() is not None


@pytest.mark.parametrize("bidirectional", [False, True])
def test_classifiers_with_pooling_and_ngrams(bidirectional: bool) -> None:
    torch.manual_seed(0)
    settings = {"embedding_dim": 4, "hidden_size": 5, "bidirectional": bidirectional, "head_size": 3}
    settings |= {"pooling": ["last", "mean", "max", "attention"], "ngrams": 2, "ngram_buckets": 32}
    model = Classifier(ClassificationRecipe.model_validate({"task": "classification", **settings}), 12, 2)
    assert model.ngrams is not None
    nn.init.normal_(model.ngrams.weight)
    nn.init.normal_(model.ngrams.log_ratio)
    certificate = verify(model, _ids())
    assert certificate.passed, certificate.failures
    forms = {row.form for row in certificate.rows if row.passed}
    assert ("chunked" in forms) != bidirectional
    assert "token ids" in forms


def test_a_pooling_that_mixes_rows_fails_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    recipe = LanguageModelRecipe.model_validate({"task": "classification", "embedding_dim": 4, "hidden_size": 5})
    model = Classifier(recipe, 12, 2)
    read = Classifier.read
    monkeypatch.setattr(Classifier, "read", lambda self, pooled, extra: read(self, pooled - pooled.mean(0), extra))
    assert _forms(verify(model, _ids())) == {"one at a time"}


def test_a_model_that_comes_back_as_another_fails() -> None:
    def forgets_zoneout(folder: Path, module: nn.Module) -> nn.Module:
        assert (folder / "model.safetensors").is_file()
        return RecurrentStack("gru", 3, 5, zoneout=0.25)

    certificate = verify_stack(_stack("gru"), _vectors())
    assert certificate.passed
    certificate = verify(_stack("gru"), _vectors(), rebuild=forgets_zoneout)
    assert _forms(certificate) == {"saved and loaded"}
    assert any(row.note.startswith("outputs: a difference") for row in certificate.failures)
    certificate = verify(_stack("gru"), _vectors(), rebuild=lambda *_: RecurrentStack("gru", 3, 6))
    assert _forms(certificate) == {"saved and loaded"}
    assert all("does not fit the recipe's model" in row.note for row in certificate.failures)


def test_a_weight_that_does_not_come_back_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> dict[str, Tensor]:
        return {name: weight + 1e-7 for name, weight in load_tensors(path).items()}

    monkeypatch.setattr("ostinato.diagnostics.equivalence_cases.load_tensors", load)
    certificate = verify_stack(_stack("gru"), _vectors())
    assert _forms(certificate) == {"saved and loaded"}
    assert all("`weight_ih_l0` is not what was saved" in row.note for row in certificate.failures)


def test_each_form_runs_where_it_says_and_chunks_end_inside_rows() -> None:
    case = make_case(_stack("lstm"), _vectors(), torch.float64, None, 0)
    for backend in ("reference", "torch"):
        case.run_on(backend)
        for form in forms_of(case):
            with dispatch.record() as ran:
                measure(case, form)
            assert set(ran) == {backend}, form.name
    lengths = torch.tensor([40, 2, 1, 0])
    bounds = _bounds(lengths, seed=3)
    assert bounds.shape == (NUM_CHUNKS + 1, 4)
    assert torch.equal(bounds[-1], lengths)
    assert not bounds[0].any()
    assert (bounds.diff(dim=0) >= 0).all()
    inside = ((bounds > 0) & (bounds < lengths)).sum(0)
    assert inside[0] >= 1
    assert inside[1] >= 1


def test_tolerances() -> None:
    assert tolerance(torch.float32, 256, 0.0) == pytest.approx(16 * 2**-23 * 16)
    assert tolerance(torch.float64, 256, 0.0) == 1e-12
    assert tolerance(torch.float32, 256, 1e-4) == pytest.approx(2e-3)
    assert tolerance(torch.float64, 256, 1e-2) == pytest.approx(0.2 * 2**-29)
    assert tolerance(torch.float32, 256, 5.0) == 0.01
    assert tolerance(torch.bfloat16, 256, 1e-7) == pytest.approx(2**-5)
    assert tolerance(torch.bfloat16, 256, 1.0) == 0.25


def test_a_model_that_rounding_alone_moves_is_not_certified() -> None:
    """Chaos: float32 and float64 part ways, and so do two forms that add up in another order."""
    torch.manual_seed(0)
    stack = RecurrentStack("elman", 3, 30)
    nn.init.normal_(stack.get_parameter("weight_hh_l0"), std=4 / 30**0.5)
    rows = Ragged.from_rows(torch.randn(80, 3), starts=[0, 40], lengths=[40, 39])
    certificate = verify_stack(stack, rows)
    assert certificate.tolerances["float32"] == 0.01
    assert 1e-12 < certificate.tolerances["float64"] < 0.01
    assert {row.dtype for row in certificate.failures} == {"float32"}


def test_the_certificate_as_json() -> None:
    certificate = verify_stack(_stack(_Counts("mine")), _vectors())
    found = json.loads(json.dumps(certificate.to_dict(), allow_nan=False))
    assert found["passed"] is False
    assert found["lengths"] == list(LENGTHS)
    assert set(found["rows"][0]) == {
        "form", "backend", "dtype", "outputs", "final_state", "gradients", "tolerance", "passed", "note",
    }  # fmt: skip


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShapeError, match=r"must hold at least one step\. Received: 2 empty rows"):
        verify_stack(_stack("gru"), Ragged.from_rows(torch.zeros(0, 3), starts=[0, 0], lengths=[0, 0]))
    with pytest.raises(ShapeError, match="`inputs` of a LanguageModel must be token ids"):
        verify(_language_model(), _vectors(4))
    with pytest.raises(ShapeError, match="`inputs` of a RecurrentStack must be vectors"):
        verify(_stack("gru"), _ids())
    with pytest.raises(RecipeError, match=r"a LanguageModel or a RecurrentStack\. Received: Linear"):
        verify(nn.Linear(3, 4), _vectors())
    sick = _stack("gru")
    nn.init.constant_(next(sick.parameters()), torch.nan)
    with pytest.raises(RunError, match="outputs are not all numbers"):
        verify_stack(sick, _vectors())
    monkeypatch.setenv("OSTINATO_BACKEND", "torch")
    with pytest.raises(BackendError, match="OSTINATO_BACKEND must not be set here"):
        verify_stack(_stack("gru"), _vectors())
