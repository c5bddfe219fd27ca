"""The network: what tasks' own sections of a recipe (`tasks/<task>/recipe.py`) are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ostinato.errors import RecipeError
from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt, Probability, no_bool
from ostinato.recipe.parts import CharactersRecipe, DecoderRecipe, FramesRecipe, NotesOutputRecipe, WrittenNumbersRecipe

if TYPE_CHECKING:
    from ostinato.recipe.models import Recipe

Pooling = Literal["last", "mean", "max", "attention"]


class ModelRecipe(Component):
    """What the section `model` of every task has: the recurrent layers."""

    undecided: ClassVar[bool] = False
    """Whether the task is still to be found out."""
    rows: ClassVar[Literal["independent", "text", "series"]] = "independent"
    """What it reads: rows, a running text, or the series of a table."""
    answers: ClassVar[Literal["row", "step", "sequence"]] = "row"
    """What it has an answer for: a row, each step of it, or a sequence of its own."""
    predicts_column: ClassVar[bool] = True
    """Whether there is a column to predict, `data.target`."""
    writes: ClassVar[Literal["", "input", "target"]] = ""
    """The column it writes more of."""
    given_value: ClassVar[bool] = False
    """Whether it reads one value a row, not a sequence."""
    reads_windows: ClassVar[bool] = True
    """Whether it may be trained window by window (`training.bptt`)."""
    weighs_classes: ClassVar[bool] = False
    """Whether its loss may weigh classes (`training.class_weight`)."""
    usual_target: ClassVar[str | None] = None
    """The kind of a target of which neither the recipe nor the data says anything."""
    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "characters"
    """What text is cut into where nothing is said; by_cells: words, if most cells hold several."""

    task: str = "auto"
    cell: str = Field(
        "lstm",
        description="any registered cell",
    )
    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 1
    bidirectional: bool = False
    proj_size: Count = Field(0, description="cells with a projection (LSTM); 0: none")
    recurrent_init: Literal["default", "orthogonal", "identity"] = Field(
        "default", description="the state's weights: torch's default, or each gate's block orthogonal, or the identity"
    )
    forget_bias: float | None = Field(
        None, description="LSTM, GRU: initial bias of the gate that keeps the state (f, z); none: torch's default"
    )
    chrono: Annotated[int, BeforeValidator(no_bool), Field(ge=3)] | None = Field(
        None, description="LSTM, GRU: gates start with time constants from 1 to this many steps; not with forget_bias"
    )
    word_dropout: Probability = Field(0.0, description="share of positions whose embedding is zeroed")
    input_dropout: Probability = Field(0.0, description="locked: the same units of a row at every step")
    hidden_dropout: Probability = Field(0.0, description="locked: on the output of every layer")
    recurrent_dropout: Probability = Field(
        0.0, description="on the state where it meets its weights: the same units of a row at every step"
    )
    weight_dropout: Probability = Field(0.0, description="share of the state's weights left out of a whole batch")
    zoneout: tuple[Probability, ...] = Field(
        (), max_length=2, description="share of state values kept from the step before: one for all, or [h, c] (LSTM)"
    )
    head_dropout: Probability = Field(0.0, description="on what the head reads")
    backend: Literal["auto", "reference", "torch", "native", "triton"] = "auto"
    recompute: bool = Field(
        False,
        description="keep no activations but at every sqrt(L)-th step, and compute them again in the backward pass: "
        "memory as sqrt(L) (language model: of the window `training.bptt`) for one more forward pass",
    )
    precision: Literal["full", "bf16"] = Field(
        "full", description="bf16: products of the recurrent layers in bfloat16, sums, state and weights in float32"
    )

    @model_validator(mode="after")
    def _check_layers(self) -> ModelRecipe:
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"`model.proj_size` must be below hidden_size ({self.hidden_size}). Received: {self.proj_size}."
            )
        if self.chrono is not None and self.forget_bias is not None:
            raise ValueError(
                "`model.chrono` and `model.forget_bias` set the same biases: give one of them. "
                f"Received: {self.chrono} and {self.forget_bias:g}."
            )
        return self

    @property
    def labels_steps(self) -> bool:
        """Whether the column to predict has a value for each step of the input."""
        return self.predicts_column and self.answers == "step"

    @property
    def aligned(self) -> bool:
        """Whether the other columns of a row have exactly as many steps as its input."""
        return self.answers == "step"

    @classmethod
    def of(cls, recipe: Recipe) -> Self:
        """The section of a recipe, which must be such a one. Raises `RecipeError` where it is another."""
        if not isinstance(recipe.model, cls):
            raise RecipeError(f"`model.task: {recipe.model.task}` has no {cls.__name__}.")
        return recipe.model

    def needs_whole_rows(self, recipe: Recipe) -> dict[str, object]:
        """Keys that say nothing of a row in windows, and their values: what is set of them must see a row whole."""
        return {
            "model.bidirectional": self.bidirectional,
            "training.adversarial": recipe.training.adversarial,
            "model.task": "" if self.reads_windows else self.task,
        }

    def check_resolved(self, recipe: Recipe) -> None:
        """Raise `RecipeError` where what was found at the head of the data does not go with this section."""

    def check(self, recipe: Recipe) -> None:
        """Raise `RecipeError` where another section of the recipe contradicts this one, whatever the data are."""
        if recipe.training.adversarial and getattr(self, "embedding", "learned") == "one_hot":
            raise RecipeError("`training.adversarial` needs learned embeddings. Received: model.embedding: one_hot.")
        if recipe.training.vanishing_penalty:
            for name in ("recurrent_dropout", "weight_dropout", "zoneout", "recompute"):
                if getattr(self, name):
                    raise RecipeError(
                        f"`training.vanishing_penalty` does not go with `model.{name}`. "
                        f"Received: {getattr(self, name)!r}."
                    )
        bptt = recipe.training.bptt
        if bptt is None or bptt.window is None or self.rows == "text":
            return
        for key, value in self.needs_whole_rows(recipe).items():
            if value:
                raise RecipeError(
                    f"`{key}` needs whole rows, but `training.bptt` reads windows of {bptt.window}. "
                    f"Received: {value!r}.",
                    hint="--set training.bptt=full",
                )
        if self.answers == "step" and not bptt.carry_state:
            raise RecipeError(
                "`training.bptt.carry_state` must be true here: rows are evaluated whole. Received: false.",
                hint="--set training.bptt.carry_state=true",
            )


class EmbeddingRecipe(ModelRecipe):
    """What turns tokens into vectors."""

    embedding_dim: PositiveInt = 64
    embedding: Literal["learned", "one_hot"] = Field(
        "learned", description="one_hot: a token is a unit vector; embedding_dim and embedding_std then have no effect"
    )
    embedding_std: Positive = Field(0.1, description="embeddings start from N(0, embedding_std)")
    embedding_dropout: Probability = Field(0.0, description="share of token types whose embedding is zeroed")
    normalize_embeddings: bool = Field(False, description="mean 0 and variance 1 of each feature, by token frequency")

    @model_validator(mode="after")
    def _check_embedding(self) -> EmbeddingRecipe:
        for name in ("normalize_embeddings", "tie_embeddings"):
            if self.embedding == "one_hot" and getattr(self, name, False):
                raise ValueError(f"`model.{name}` needs learned embeddings. Received: embedding: one_hot.")
        return self


class NgramsRecipe(ModelRecipe):
    """N-grams that a model of tokens builds on."""

    needs: ClassVar[Needs] = {"ngram_combination": ("`ngrams`", lambda model: model.ngrams)}
    ngrams: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=12)] = Field(
        0, description="n-grams up to this length, counted on the training text, that the network builds on; 0: none"
    )
    ngram_combination: Literal["logits", "mixture"] = Field(
        "logits",
        description="of n-grams and network: their log-probabilities are added to its scores, or the probabilities of "
        "both are mixed; how much of each, the network says at every step",
    )


class ColumnsRecipe(EmbeddingRecipe):
    """What reads columns of any kind, one or several."""

    input_noise: NonNegative = Field(0.0, description="in training: added to every number read, times N(0, 1)")
    input_scale: NonNegative = Field(0.0, description="in training: a row's numbers times exp(input_scale N(0, 1))")
    characters: CharactersRecipe = CharactersRecipe()
    frames: FramesRecipe = FramesRecipe()


class PoolingRecipe(ColumnsRecipe):
    """What makes one vector of a sequence."""

    pooling: tuple[Pooling, ...] = Field(
        ("last",), min_length=1, description="of sequences to one vector: concatenated in this order"
    )


class FrameOutputRecipe(ModelRecipe):
    """The distribution of frames that are written."""

    notes: NotesOutputRecipe = NotesOutputRecipe()
    numbers: WrittenNumbersRecipe = WrittenNumbersRecipe()


class WriterRecipe(PoolingRecipe, FrameOutputRecipe, NgramsRecipe):
    """What writes sequences of tokens or frames."""

    answers: ClassVar[Literal["row", "step", "sequence"]] = "sequence"
    writes: ClassVar[Literal["", "input", "target"]] = "target"
    reads_windows: ClassVar[bool] = False
    usual_target: ClassVar[str | None] = "text"

    decoder: DecoderRecipe = DecoderRecipe()
    tie_embeddings: bool = Field(False, description="output weights are the embedding's")

    @model_validator(mode="after")
    def _check_ngrams(self) -> Self:
        if self.ngrams and self.decoder.scheduled_sampling:
            raise ValueError(
                "`model.decoder.scheduled_sampling` does not go with `model.ngrams`: what the model wrote itself was "
                f"counted nowhere. Received: {self.decoder.scheduled_sampling}."
            )
        return self
