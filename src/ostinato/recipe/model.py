"""The network: what tasks' own sections of a recipe (`tasks/<task>/recipe.py`) are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from ostinato.errors import RecipeError
from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt, Probability, no_bool

if TYPE_CHECKING:
    from ostinato.recipe.models import Recipe

Pooling = Literal["last", "mean", "max", "attention"]


class CharactersRecipe(Component):
    """What reads the characters of each word, beside the word's own vector: a recurrent layer in both directions."""

    cell: str = Field("lstm", description="any registered cell")
    embedding_dim: PositiveInt = Field(32, description="of a character")
    hidden_size: PositiveInt = Field(48, description="in each direction; a word gets two vectors of this size")
    dropout: Probability = Field(0.0, description="on the vectors of characters, the same units throughout a word")


class DecoderRecipe(Component):
    """What writes a sequence. Its cell is `model.cell`."""

    needs: ClassVar[Needs] = {
        "scheduled_sampling_steps": ("`scheduled_sampling`", lambda decoder: decoder.scheduled_sampling),
        "length_penalty": ("`beam_size` above 1", lambda decoder: decoder.beam_size > 1),
    }
    num_layers: PositiveInt | None = Field(None, description="none: model.num_layers")
    hidden_size: PositiveInt | None = Field(None, description="none: model.hidden_size")
    embedding_dim: PositiveInt | None = Field(None, description="none: model.embedding_dim")
    scheduled_sampling: Probability = Field(
        0.0, description="in training, share of inputs (tokens, frames) that the model wrote itself, not the true ones"
    )
    scheduled_sampling_steps: PositiveInt = Field(10_000, description="steps until that share is reached, linearly")
    beam_size: PositiveInt = Field(
        5, description="sequences kept while writing; 1: greedy; the default: 5, of a smaller alphabet all"
    )
    length_penalty: NonNegative = Field(
        0.6, description="exponent a of ((5 + length) / 6)^a, which log-probabilities are divided by"
    )
    length: Annotated[int, BeforeValidator(no_bool), Field(ge=1)] | Literal["learnt"] | None = Field(
        None,
        description="frames: so many are written, or (learnt) the model says when to end; none: that of all training "
        "targets if they are equally long, else learnt",
    )
    max_new_tokens: PositiveInt | None = Field(
        None, description="longest sequence written; none: 100 tokens, or twice as many frames as the longest target"
    )

    @property
    def longest(self) -> int:
        """The longest sequence written, in steps; where the length is set, that."""
        return self.length if isinstance(self.length, int) else self.max_new_tokens or 100


class AttentionDecoderRecipe(DecoderRecipe):
    """What writes a sequence, and looks at the source as it does."""

    needs: ClassVar[Needs] = {
        **DecoderRecipe.needs,
        "score": ("`attention: luong`", lambda decoder: decoder.attention == "luong"),
        "attention_size": (
            "`attention: bahdanau`, or `score: concat`",
            lambda decoder: (
                (decoder.attention == "luong" and decoder.score == "concat") or decoder.attention == "bahdanau"
            ),
        ),
        "input_feeding": ("`attention: bahdanau` or `luong`", lambda decoder: decoder.attention != "none"),
    }
    attention: Literal["none", "bahdanau", "luong"] = Field(
        "luong", description="what it reads of the source at each step; bahdanau: additive"
    )
    score: Literal["dot", "general", "concat"] = Field("general", description="attention: luong: how two states match")
    attention_size: Count = Field(0, description="units of an additive score; 0: the decoder's hidden_size")
    input_feeding: bool = Field(
        False, description="each step reads what attention made of the one before; slow: trained step by step"
    )
    bridge: Literal["linear", "sum", "copy"] = Field(
        "linear", description="encoder's final states to the first ones; sum, copy (side by side): of both directions"
    )


class NotesOutputRecipe(Component):
    """The distribution of the notes of a frame that is written."""

    needs: ClassVar[Needs] = dict.fromkeys(
        ("output_size", "output_dropout"),
        ("`output: nade` or `autoregressive`", lambda notes: notes.output != "independent"),
    )
    output: Literal["independent", "nade", "autoregressive"] = Field(
        "independent",
        description="independent of each other; nade: each given those below it, not with recurrence: note; "
        "autoregressive: note after note, by a small recurrence",
    )
    output_size: PositiveInt = Field(128, description="nade, autoregressive: units that know the notes below")
    output_dropout: Probability = Field(0.0, description="nade, autoregressive: on those units")


class WrittenNumbersRecipe(Component):
    """The distribution of the numbers of a frame that is written."""

    needs: ClassVar[Needs] = {"factors": ("`distribution: gaussian`", lambda own: own.distribution == "gaussian")}
    distribution: Literal["gaussian", "student_t"] = Field(
        "gaussian", description="student_t: with degrees of freedom, for outliers"
    )
    components: PositiveInt = Field(
        1, description="of a mixture of such distributions: above 1 where what comes next may go one way or another"
    )
    factors: Count = Field(
        0,
        description="gaussian: the numbers of a frame move together along so many directions; 0: none, they are "
        "independent within a component",
    )
    least_deviation: Positive = Field(
        0.01, description="below which no deviation goes, in the scale the numbers have been normalised to"
    )


class FramesRecipe(Component):
    """What makes a vector of each frame of a video, or of a picture: a small convolution, trained with the rest."""

    channels: tuple[PositiveInt, ...] = Field(
        (16, 32), min_length=1, description="of each convolution; after each of them height and width are halved"
    )
    kernel: PositiveInt = Field(3, description="pixels a convolution sees in each direction: an odd number")
    pooling: Literal["max", "mean"] = Field("max", description="what is kept of four pixels where they are halved")
    output_size: PositiveInt = Field(64, description="numbers in the vector of a picture")
    dropout: Probability = Field(0.0, description="before the vector is made")
    mirror: Probability = Field(
        0.0, description="share of rows whose pictures are seen in a mirror, left and right exchanged, in training"
    )

    @model_validator(mode="after")
    def _check(self) -> FramesRecipe:
        if self.kernel % 2 == 0:
            raise ValueError(f"`model.frames.kernel` must be an odd number. Received: {self.kernel}.")
        return self


class ModelRecipe(Component):
    """What the section `model` of every task has: the recurrent layers."""

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
    usual_target: ClassVar[str | None] = None
    """The kind of a target of which neither the recipe nor the data says anything."""
    usual_unit: ClassVar[Literal["words", "characters", "by_cells"]] = "characters"
    """What text is cut into where nothing is said; by_cells: words, if most cells hold several."""

    task: str = "auto"
    cell: str = Field(
        "lstm",
        description="any registered cell: elman, elman_layer_norm, elman_relu, gru, gru_layer_norm, gru_reset_before, "
        "jordan, lstm, lstm_layer_norm, lstm_peephole, output_recurrent",
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
    def undecided(self) -> bool:
        """Whether the task is still to be found out."""
        return self.task == "auto"

    @property
    def labels_steps(self) -> bool:
        """Whether the column to predict has a value for each step of the input."""
        return self.predicts_column and self.answers == "step"

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

    def check_settled(self, recipe: Recipe) -> None:
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
                    hint="set training.bptt=full",
                )
        if self.answers == "step" and not bptt.carry_state:
            raise RecipeError(
                "`training.bptt.carry_state` must be true here: rows are evaluated whole. Received: false.",
                hint="leave it out",
            )


class EmbeddingRecipe(ModelRecipe):
    """What turns tokens into vectors."""

    embedding_dim: PositiveInt = 64
    embedding: Literal["learned", "one_hot"] = Field(
        "learned", description="one_hot: a token is a unit vector; embedding_dim and embedding_std then say nothing"
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


class WriterRecipe(PoolingRecipe, FrameOutputRecipe):
    """What writes sequences of tokens or frames."""

    answers: ClassVar[Literal["row", "step", "sequence"]] = "sequence"
    writes: ClassVar[Literal["", "input", "target"]] = "target"
    reads_windows: ClassVar[bool] = False
    usual_target: ClassVar[str | None] = "text"

    decoder: DecoderRecipe = DecoderRecipe()
    tie_embeddings: bool = Field(False, description="output weights are the embedding's")
