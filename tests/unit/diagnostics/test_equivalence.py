"""The certificate passes for every cell of the library, and fails at the right place for cells and kernels that err."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tests.unit.diagnostics.certified import failed_forms, ids, language_model, stack, vectors
from torch import Tensor, nn

from ostinato import cells
from ostinato.diagnostics import verify
from ostinato.diagnostics.equivalence_cases import make_case
from ostinato.diagnostics.equivalence_forms import NUM_CHUNKS, _bounds, forms_of
from ostinato.diagnostics.equivalence_measure import measure, tolerance
from ostinato.errors import BackendError, RecipeError, RunError, ShapeError
from ostinato.kernels import dispatch, native
from ostinato.nn import RecurrentStack, build
from ostinato.training.weights import load_tensors
from ostinato.types import Ragged

BOTH = {"float32", "float64"}
ONE_WAY = {"padded, no lengths", "step by step", "chunked", "stream"}


@pytest.mark.parametrize("name", cells.names())
def test_every_cell_of_the_library_is_equivalent(name: str) -> None:
    certificate = verify(stack(name, num_layers=2 if name == "lstm" else 1), vectors())
    assert certificate.passed, certificate.failures
    compared = {(row.backend, row.dtype) for row in certificate.rows if row.passed}
    able = [backend for backend, reason in dispatch.available(cells.get(name)).items() if reason is None]
    assert compared == {(backend, dtype) for backend in able for dtype in BOTH}
    for row in certificate.rows:
        assert row.passed or row.note, "nothing is left out without a reason"


def test_what_is_compared_one_way() -> None:
    certificate = verify(stack("lstm"), vectors())
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
    certificate = verify(stack("gru", bidirectional=True), vectors())
    undefined = {row.form: row for row in certificate.rows if row.backend == "all"}
    assert set(undefined) == ONE_WAY
    assert all(row.passed is None and "not defined" in row.note for row in undefined.values())
    assert not any(row.form in ONE_WAY for row in certificate.rows if row.backend != "all")


def test_a_backend_that_cannot_run_is_listed_with_its_reason() -> None:
    certificate = verify(stack("gru_reset_before"), vectors())
    absent = {(row.backend, row.dtype): row.note for row in certificate.rows if row.passed is None and row.note}
    assert "no fused layer" in absent["torch", "float64"]
    assert "later release" in absent["triton", "float32"]
    zoneout = verify(stack("gru", zoneout=0.2), vectors())
    assert zoneout.passed
    assert any(row.backend == "torch" and "zoneout" in row.note for row in zoneout.rows)


def test_stacks_of_every_shape() -> None:
    tall = build("lstm", 3, 5, num_layers=2, proj_size=2, dropout=0.5, recurrent_dropout=0.5, batch_first=True)
    certificate = verify(tall.train(), vectors())
    assert certificate.passed, certificate.failures
    assert tall.training
    assert tall.backend == "auto"
    assert verify(stack("elman", bias=False, recompute=True), vectors()).passed


def test_products_in_bfloat16_have_rows_and_a_tolerance_of_their_own() -> None:
    certificate = verify(stack("lstm", precision="bf16"), vectors())
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
    assert "bf16" not in verify(stack("lstm"), vectors()).tolerances


def test_a_model_that_comes_back_as_another_fails() -> None:
    def forgets_zoneout(folder: Path, module: nn.Module) -> nn.Module:
        assert (folder / "model.safetensors").is_file()
        return RecurrentStack("gru", 3, 5, zoneout=0.25)

    certificate = verify(stack("gru"), vectors())
    assert certificate.passed
    certificate = verify(stack("gru"), vectors(), rebuild=forgets_zoneout)
    assert failed_forms(certificate) == {"saved and loaded"}
    assert any(row.note.startswith("outputs: a difference") for row in certificate.failures)
    certificate = verify(stack("gru"), vectors(), rebuild=lambda *_: RecurrentStack("gru", 3, 6))
    assert failed_forms(certificate) == {"saved and loaded"}
    assert all("does not fit the recipe's model" in row.note for row in certificate.failures)


def test_a_weight_that_does_not_come_back_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(path: Path) -> dict[str, Tensor]:
        return {name: weight + 1e-7 for name, weight in load_tensors(path).items()}

    monkeypatch.setattr("ostinato.diagnostics.equivalence_cases.load_tensors", load)
    certificate = verify(stack("gru"), vectors())
    assert failed_forms(certificate) == {"saved and loaded"}
    assert all("`weight_ih_l0` is not what was saved" in row.note for row in certificate.failures)


def test_each_form_runs_where_it_says_and_chunks_end_inside_rows() -> None:
    case = make_case(stack("lstm"), vectors(), torch.float64, None, 0)
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
    certificate = verify(stack, rows)
    assert certificate.tolerances["float32"] == 0.01
    assert 1e-12 < certificate.tolerances["float64"] < 0.01
    assert {row.dtype for row in certificate.failures} == {"float32"}


def test_bad_input(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ShapeError, match=r"must hold at least one step\. Received: 2 empty rows"):
        verify(stack("gru"), Ragged.from_rows(torch.zeros(0, 3), starts=[0, 0], lengths=[0, 0]))
    with pytest.raises(ShapeError, match="`inputs` of a LanguageModel must be token ids"):
        verify(language_model(), vectors(4))
    with pytest.raises(ShapeError, match="`inputs` of a RecurrentStack must be vectors"):
        verify(stack("gru"), ids())
    with pytest.raises(RecipeError, match=r"a classifier, a language model or a RecurrentStack\. Received: Linear"):
        verify(nn.Linear(3, 4), vectors())
    sick = stack("gru")
    nn.init.constant_(next(sick.parameters()), torch.nan)
    with pytest.raises(RunError, match="outputs are not all numbers"):
        verify(sick, vectors())
    monkeypatch.setenv("OSTINATO_BACKEND", "torch")
    with pytest.raises(BackendError, match="OSTINATO_BACKEND must not be set here"):
        verify(stack("gru"), vectors())
