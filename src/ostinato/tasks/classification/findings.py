"""What to know of a trained classifier whose answer is a mean of two paths."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ostinato.storage.files import read_json
from ostinato.tasks.classification.recipe import ClassificationRecipe
from ostinato.tasks.findings import Finding, Trained


def blended(trained: Trained) -> Iterator[Finding]:
    """How much of an answer is the linear score's, where one was decided about."""
    share = read_json(Path(trained.run) / "decisions.json", missing_ok=True).get("linear_share")
    if share is None:
        return
    recipe = ClassificationRecipe.of(trained.recipe)
    what, option = ("n-grams", "ngrams") if recipe.ngrams else ("random convolutions", "random_kernels")
    yield Finding(
        "blend",
        f"the recurrent path gives {1 - share:.0%} of an answer, a linear score of {what} {share:.0%}",
        f"the network alone: {trained.again({f'model.{option}': 0})}",
        serious=False,
    )
