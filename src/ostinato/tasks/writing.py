"""What tasks share that write sequences, of tokens or of frames, for what they are given."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import TypeVar

from ostinato.recipe.model import WriterRecipe
from ostinato.tasks.frames.spec import FrameWriting

if TYPE_CHECKING:
    import torch
    from torch import nn

    from ostinato.data.dataset import Examples, Features
    from ostinato.layers.writer import SequenceWriter
    from ostinato.metrics.prediction import Prediction
    from ostinato.recipe import Recipe
    from ostinato.tasks.generation import GenerateOptions, Generation, OpenRun


WriterT = TypeVar("WriterT", bound="SequenceWriter", default=Any)


class SequenceWriting(FrameWriting[WriterT]):
    """Models, predictions and draws of tokens; of frames as `FrameWriting`."""

    recipe: ClassVar[type[WriterRecipe]]

    @abstractmethod
    def model_type(self) -> type[nn.Module]:
        """The model: of a recipe, what reads the input, what is written, counts of tokens, and covariates."""

    def build(self, recipe: Recipe, features: Features) -> nn.Module:
        """A model that writes the target's tokens or frames."""
        from ostinato.layers.covariates import RowCovariates
        from ostinato.layers.inputs import input_layer
        from ostinato.tasks.written import written

        own = self.recipe.of(recipe)
        covariates = RowCovariates(own, features.extra) if features.extra else None
        what, counts = written(features, self.noun)
        return self.model_type()(own, input_layer(features.input, own), what, counts, covariates=covariates)

    def predict(self, model: WriterT, examples: Examples, features: Features, device: torch.device) -> list[Prediction]:
        """The likeliest sequence for each row."""
        if self.writes_frames(features):
            return super().predict(model, examples, features, device)
        from ostinato.tasks.transcripts import predictions_of

        return predictions_of(model, examples, features.target, device)

    def generate(self, run: OpenRun, options: GenerateOptions) -> Generation:
        """Texts, or frames, drawn for what is given."""
        if self.writes_frames(run.features):
            return super().generate(run, options)
        from ostinato.tasks.written import draw_texts

        return draw_texts(run, options, self.noun)
