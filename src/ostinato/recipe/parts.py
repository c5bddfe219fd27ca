"""Components of the section `model` that several tasks have: of columns, of decoders, of what is written."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt, Probability, no_bool


class CharactersRecipe(Component):
    """What reads the characters of each word, in addition to the word's own vector: a bidirectional recurrent layer."""

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
        "lexicon": (
            "attention without `input_feeding`",
            lambda decoder: decoder.attention != "none" and not decoder.input_feeding,
        ),
    }
    attention: Literal["none", "bahdanau", "luong"] = Field(
        "luong", description="what it reads of the source at each step; bahdanau: additive"
    )
    score: Literal["dot", "general", "concat"] = Field("general", description="attention: luong: how two states match")
    attention_size: Count = Field(0, description="units of an additive score; 0: the decoder's hidden_size")
    input_feeding: bool = Field(
        False, description="each step reads what attention made of the one before; slow: trained step by step"
    )
    lexicon: Count = Field(
        0,
        description="tokens: so many translations of each source token, counted on the training pairs, that the "
        "network builds on where it looks; 0: none",
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
