"""Many-to-many, delayed: the source is read whole, then the target is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ostinato.tasks.seq2seq.recipe import SequenceToSequenceRecipe
from ostinato.tasks.writing import SequenceWriting, Writer

if TYPE_CHECKING:
    from ostinato.data.inference.sample import DataSample
    from ostinato.recipe import Recipe
    from ostinato.tasks.plan import Plan, Shape


class SequenceToSequence(SequenceWriting):
    """Many-to-many, delayed."""

    name, noun = "seq2seq", "seq2seq"
    recipe = SequenceToSequenceRecipe

    def infers(self, recipe: Recipe, sample: DataSample) -> str | None:
        """A sequence for a sequence, and not a value for each of its steps."""
        from ostinato.data.features import feature_type, is_fixed
        from ostinato.data.inference.step_targets import answers_steps

        data, features = recipe.data, recipe.features
        if data.target is None or feature_type(features.target) is None or is_fixed(features.input):
            return None
        return None if answers_steps(sample, recipe) else f"{data.target} holds a sequence of its own"

    def plan(self, shape: Shape, recipe: Recipe) -> Plan:
        """By the units of what is read and written."""
        from ostinato.tasks.seq2seq.plan import plan

        return plan(shape, recipe)

    def check(self, recipe: Recipe) -> None:
        """The bridge needs states that fit, too."""
        from ostinato.tasks.seq2seq.model import check_bridge

        super().check(recipe)
        check_bridge(SequenceToSequenceRecipe.of(recipe))

    def writer(self) -> Writer:
        """Copies and tables of tokens to compare with."""
        from ostinato.tasks.seq2seq.writer import WRITER

        return WRITER


SPEC = SequenceToSequence()
