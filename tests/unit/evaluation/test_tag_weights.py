"""Taggers whose rare tags count more (`training.class_weight: balanced`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ostinato.errors import RecipeError
from ostinato.recipe import Recipe, build_recipe
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.tagging.training import TaggerTraining, tag_weights
from ostinato.training.progress import Observer
from ostinato.training.train import train_recipe

CPU = torch.device("cpu")


def _recipe(folder: Path, model: dict[str, Any] | None = None, **training: Any) -> Recipe:
    rows = [f"w{k % 7}\t{'RARE' if k % 10 == 0 else 'USUAL'}\n" + "\n" * (k % 5 == 4) for k in range(200)]
    (folder / "tags.conll").write_text("".join(rows))
    return build_recipe(
        {
            "data": {"train": str(folder / "tags.conll")},
            "model": {"task": "tagging", "hidden_size": 4, "embedding_dim": 4, **(model or {})},
            "training": {"epochs": 1, "num_threads": 1, "baselines_seconds": 0, "class_weight": "balanced", **training},
        }
    )


def test_a_step_counts_by_its_tag_as_in_torchs_cross_entropy(tmp_path: Path) -> None:
    prepared = prepare(_recipe(tmp_path))
    weights = cast("torch.Tensor", tag_weights(prepared, CPU))
    tags = prepared.train.target_sequences.values
    counts = np.bincount(tags[tags >= 0], minlength=len(weights))
    present = counts > 0
    assert weights[present].numpy() == pytest.approx(counts.sum() / (present.sum() * counts[present]), rel=1e-6)
    assert float(weights[torch.from_numpy(tags).long()].mean()) == pytest.approx(1)
    torch.manual_seed(0)
    model = cast("Any", task_of(prepared.recipe).build(prepared.recipe, prepared.features))
    training = TaggerTraining(task_of(prepared.recipe), model, prepared, CPU)
    batch = next(iter(training.batches(0, 0)))
    loss, _ = training.backward(batch)
    outputs, wanted = model(batch.inputs).values.detach(), batch.sequence_targets.values.long()
    assert loss == pytest.approx(float(F.cross_entropy(outputs, wanted, weight=weights)), rel=1e-5)
    assert loss != pytest.approx(float(F.cross_entropy(outputs, wanted)), rel=1e-3)


def test_windows_are_weighed_too_and_validation_is_not(tmp_path: Path) -> None:
    folder = train_recipe(_recipe(tmp_path, bptt=3), tmp_path / "run", Observer())
    assert (folder / "summary.json").is_file()


@pytest.mark.parametrize("output", ["crf", "ctc"])
def test_chains_are_refused_by_name(tmp_path: Path, output: str) -> None:
    with pytest.raises(RecipeError, match=r"class_weight` only applies with tags that are scored one by one"):
        prepare(_recipe(tmp_path, {"output": output}))


def test_other_tasks_are_told_who_has_it(tmp_path: Path) -> None:
    recipe = _recipe(tmp_path).model_dump()
    recipe["model"] = {"task": "language_model"}
    with pytest.raises(RecipeError, match="does not apply to") as raised:
        prepare(build_recipe(recipe))
    assert "tagger" in str(raised.value)
