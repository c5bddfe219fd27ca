"""Several networks that answer as one: the mean of probabilities, members that learn alone, and the run as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ostinato.api import resume, train
from ostinato.data.dataset import Prepared
from ostinato.data.targets import TARGETS, ClassTarget, NumberTarget, TargetFeature
from ostinato.errors import RecipeError
from ostinato.heads.build import row_head
from ostinato.recipe import build_recipe
from ostinato.run import load
from ostinato.tasks.classification.ensemble import Ensemble
from ostinato.tasks.classification.model import Classifier
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.classification.training import ClassifierTraining, EnsembleTraining
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.training import training_of
from ostinato.training.progress import Observer
from ostinato.training.train import MODEL_FILE
from ostinato.training.weights import load_tensors
from ostinato.types import Ragged

IDS = Ragged.from_rows(torch.tensor([4, 7, 7, 5, 9]), starts=[0, 3, 5], lengths=[3, 2, 0])


def _ensemble(target: TargetFeature) -> Ensemble:
    torch.manual_seed(0)
    members = [
        Classifier(ClassificationRecipe(hidden_size=3), 10, target.num_outputs, head=row_head(target)) for _ in range(3)
    ]
    model = Ensemble(members).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    return model


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("kind", ["class", "labels"])
def test_probabilities_are_averaged(kind: str, classes: tuple[str, ...]) -> None:
    target = TARGETS[kind]("answer", classes=classes) if classes else TARGETS[kind]("answer")
    model = _ensemble(target)
    turned = torch.sigmoid if kind == "labels" or len(classes) == 2 else lambda logits: logits.softmax(1)
    wanted = sum(turned(member(IDS)) for member in model.classifiers) / 3
    torch.testing.assert_close(turned(model(IDS)), wanted)


def test_certain_members_make_no_infinite_answer() -> None:
    model = _ensemble(ClassTarget("answer", classes=("a", "b")))
    with torch.no_grad():
        for member in model.classifiers:
            member.output.bias.fill_(1e4)
    found = model(IDS)
    assert bool(torch.isfinite(found).all())
    assert bool((found > 100).all())


def test_numbers_are_averaged() -> None:
    model = _ensemble(NumberTarget("answer"))
    torch.testing.assert_close(model(IDS), sum(member(IDS) for member in model.classifiers) / 3)


@pytest.fixture
def words(tmp_path: Path) -> dict[str, Any]:
    """The recipe of a text whose class is whether `b` is in it."""
    random = np.random.default_rng(0)
    rows = ["".join(random.choice(list("acde"), int(random.integers(2, 9)))) for _ in range(60)]
    lines = [f"{row[:1] + 'b' + row[1:]},yes" if n % 2 else f"{row},no" for n, row in enumerate(rows)]
    (tmp_path / "words.csv").write_text("\n".join(["text,label", *lines]))
    return {
        "data": {"train": str(tmp_path / "words.csv"), "input": "text", "target": "label", "validation": 0.25},
        "features": {"input": {"kind": "text", "unit": "characters"}},
        "model": {"task": "classification", "hidden_size": 6, "embedding_dim": 4, "members": 3},
        "training": {"epochs": 8, "batch_size": 8, "learning_rate": 0.03, "baselines_seconds": 0, "num_threads": 1},
    }


def _prepared(words: dict[str, Any]) -> Prepared:
    return prepare(build_recipe(words))


def test_each_member_has_the_gradients_it_would_have_alone(words: dict[str, Any]) -> None:
    prepared, cpu = _prepared(words), torch.device("cpu")
    model = task_of(prepared.recipe).build(prepared.recipe, prepared.features)
    assert isinstance(model, Ensemble)
    task = training_of(task_of(prepared.recipe), model, prepared, cpu)
    assert isinstance(task, EnsembleTraining)
    batch = next(iter(task.batches(0, 0)))
    mean, _ = task.backward(batch)
    found = [[parameter.grad for parameter in member.parameters()] for member in model.classifiers]
    losses = []
    for member, own in zip(model.classifiers, found, strict=True):
        member.zero_grad()
        losses.append(ClassifierTraining(task_of(prepared.recipe), member, prepared, cpu).backward(batch)[0])
        for gradient, parameter in zip(own, member.parameters(), strict=True):
            torch.testing.assert_close(gradient, parameter.grad)
    assert mean == pytest.approx(np.mean(losses))
    assert len(set(losses)) == 3


def test_a_run_is_resumed_exactly_loaded_verified_and_diagnosed(words: dict[str, Any], tmp_path: Path) -> None:
    whole = train(recipe=build_recipe(words), out=tmp_path / "whole", observer=Observer())
    assert whole.summary["validation"]["accuracy"] > 0.85
    words["training"]["epochs"] = 4
    half = train(recipe=build_recipe(words), out=tmp_path / "half", observer=Observer())
    resumed = resume(half.folder, settings={"training.epochs": 8}, observer=Observer())
    one, other = (load_tensors(run.folder / MODEL_FILE) for run in (whole, resumed))
    assert all(torch.equal(one[name], other[name]) for name in one)
    again = load(whole.folder)
    assert [one.label for one in again.predict(["acbd", "acd"])] == ["yes", "no"]
    assert again.verify().passed
    assert "the first was examined" in again.diagnose().remarks[0]
    assert again.explore().units("position")  # of the first
    assert "the mean of three networks, each an LSTM" in again.report().read_text(encoding="utf-8")


@pytest.mark.parametrize("setting", [{"training": {"vanishing_penalty": 1.0}}, {"training": {"adversarial": 1.0}}])
def test_what_belongs_to_one_network_is_refused(words: dict[str, Any], setting: dict[str, Any]) -> None:
    mapping = {**words, **{part: {**words[part], **options} for part, options in setting.items()}}
    with pytest.raises(RecipeError, match=r"only applies with a single network \(`model.members: 1`\)"):
        _prepared(mapping)


def test_one_linear_score_stands_beside_all_members(words: dict[str, Any], tmp_path: Path) -> None:
    words["model"] |= {"ngrams": 2, "ngram_buckets": 256}
    words["training"] |= {"epochs": 1, "keep": "last"}
    run = train(recipe=build_recipe(words), out=tmp_path / "run", observer=Observer())
    model = run.model
    assert isinstance(model, Ensemble)
    assert all(member.linear is None for member in model.classifiers)
    assert run.predict(["acbd"])[0].label == "yes"  # which a single letter says
    rows = prepare(run.recipe).validation
    ids = Ragged.from_rows(torch.from_numpy(rows.sequences.values), rows.sequences.offsets[:-1], rows.sequences.lengths)
    with torch.inference_mode():
        linear, recurrent = model.linear(ids), model.recurrent(ids)  # type: ignore[misc]
        torch.testing.assert_close(model(ids), (1 - model.linear_share) * recurrent + model.linear_share * linear)
    again = load(run.folder).model
    assert (again.linear_share, again.num_answering) == (model.linear_share, model.num_answering)


@pytest.mark.parametrize("harm", [False, True])
def test_networks_are_averaged_unless_validation_rows_speak_against_it(words: dict[str, Any], harm: bool) -> None:
    prepared, cpu = _prepared(words), torch.device("cpu")
    spec = task_of(prepared.recipe)
    model = spec.build(prepared.recipe, prepared.features)
    if harm:
        truth = torch.tensor(np.asarray(prepared.validation.targets))
        with torch.no_grad():
            for member in model.classifiers[1:]:  # they are sure of one class, and wrong in half of the rows
                member.output.bias.fill_(20.0)
        assert 0 < truth.sum() < len(truth)
    decided = spec.decide(model, prepared, cpu)
    assert decided is not None
    assert decided["members"] == model.num_answering == (1 if harm else 3)
