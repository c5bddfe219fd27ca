"""The network."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt, Probability, no_bool
from ostinato.recipe.forecast import ForecastRecipe

Pooling = Literal["last", "mean", "max", "attention"]
Kind = Literal["auto", "classifier", "language_model", "tagger", "seq2seq", "conditional", "next_step", "forecaster"]


class TaggerRecipe(Component):
    """An output for each step (`model.kind: tagger`)."""

    needs: ClassVar[Needs] = {"beam_size": ("`output: ctc`", lambda tagger: tagger.output == "ctc")}
    output: Literal["softmax", "crf", "ctc"] = Field(
        "softmax", description="crf: a score of the whole sequence of tags; ctc: labels shorter than the input"
    )
    delay: Count = Field(0, description="the answer for step t is given at step t + delay (not if bidirectional)")
    beam_size: PositiveInt = Field(1, description="ctc: prefixes kept while decoding; 1: the likeliest path")


class CharactersRecipe(Component):
    """What reads the characters of each word, beside the word's own vector: a recurrent layer in both directions."""

    cell: str = Field("lstm", description="any registered cell")
    embedding_dim: PositiveInt = Field(32, description="of a character")
    hidden_size: PositiveInt = Field(48, description="in each direction; a word gets two vectors of this size")
    dropout: Probability = Field(0.0, description="on the vectors of characters, the same units throughout a word")


class DecoderRecipe(Component):
    """What writes a sequence (`model.kind: seq2seq, conditional`). Its cell is `model.cell`."""

    needs: ClassVar[Needs] = {
        "score": ("`attention: luong`", lambda decoder: decoder.attention == "luong"),
        "attention_size": (
            "`attention: bahdanau`, or `score: concat`",
            lambda decoder: (
                (decoder.attention == "luong" and decoder.score == "concat") or decoder.attention == "bahdanau"
            ),
        ),
        "input_feeding": ("`attention: bahdanau` or `luong`", lambda decoder: decoder.attention != "none"),
        "scheduled_sampling_steps": ("`scheduled_sampling`", lambda decoder: decoder.scheduled_sampling),
        "length_penalty": ("`beam_size` above 1", lambda decoder: decoder.beam_size > 1),
    }
    attention: Literal["none", "bahdanau", "luong"] = Field(
        "luong", description="seq2seq: what it reads of the source at each step; bahdanau: additive"
    )
    score: Literal["dot", "general", "concat"] = Field("general", description="attention: luong: how two states match")
    attention_size: Count = Field(0, description="units of an additive score; 0: the decoder's hidden_size")
    input_feeding: bool = Field(
        False, description="each step reads what attention made of the one before; slow: trained step by step"
    )
    bridge: Literal["linear", "sum", "copy"] = Field(
        "linear", description="encoder's final states to the first ones; sum, copy (side by side): of both directions"
    )
    condition: Literal["state", "input", "both"] = Field(
        "both", description="conditional: what is given sets the first state, is read at every step, or both"
    )
    num_layers: PositiveInt | None = Field(None, description="none: as many as the encoder")
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


class NextStepRecipe(Component):
    """The distribution of the next frame of notes (`model.kind: next_step, seq2seq, conditional`)."""

    needs: ClassVar[Needs] = {
        **dict.fromkeys(
            ("output_size", "output_dropout"),
            ("`output: nade` or `autoregressive`", lambda next_step: next_step.output != "independent"),
        ),
        "reach": ("`recurrence: note`", lambda next_step: next_step.recurrence == "note"),
    }
    recurrence: Literal["frame", "note"] = Field(
        "frame",
        description="frame: one state, which reads whole frames; note: each note has a state and sees what sounds "
        "around it, with weights that all notes share",
    )
    reach: PositiveInt = Field(12, description="recurrence: note: how far up and down a note sees")
    output: Literal["independent", "nade", "autoregressive"] = Field(
        "independent",
        description="the notes of a frame: independent of each other; nade: each given those below it, not with "
        "recurrence: note; autoregressive: note after note, by a small recurrence",
    )
    output_size: PositiveInt = Field(128, description="nade, autoregressive: units that know the notes below")
    output_dropout: Probability = Field(0.0, description="nade, autoregressive: on those units")
    cut_frames: PositiveInt | None = Field(
        None, description="longer rows are cut to at most so many frames for training, the state lost at each cut"
    )

    @model_validator(mode="after")
    def _check(self) -> NextStepRecipe:
        if self.recurrence == "note" and self.output == "nade":
            raise ValueError(
                "`model.next_step.output: nade` reads one state a frame, and with `recurrence: note` each note has its "
                "own. `autoregressive` also gives each note those below it. Received: nade."
            )
        return self


class WrittenNumbersRecipe(Component):
    """The distribution of the numbers of a frame that is written (`model.kind: seq2seq, conditional, next_step`)."""

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


class ConvolutionRecipe(Component):
    """Convolutions over time beside the recurrent layers (LSTM-FCN): the head gets the mean of what they find in a
    row, too. Each is followed by batch normalisation and ReLU."""

    needs: ClassVar[Needs] = {"kernels": ("`channels`", lambda convolution: convolution.channels)}
    channels: tuple[PositiveInt, ...] = Field(
        (), description="classifier: of each convolution over time; none: there is none"
    )
    kernels: tuple[PositiveInt, ...] = Field((7, 5, 3), description="steps that each of them sees: odd numbers")

    @model_validator(mode="after")
    def _check(self) -> ConvolutionRecipe:
        if self.channels and len(self.kernels) != len(self.channels):
            raise ValueError(
                f"`model.convolution.kernels` must be as many as channels ({len(self.channels)}). "
                f"Received: {list(self.kernels)}."
            )
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise ValueError(f"`model.convolution.kernels` must be odd numbers. Received: {list(self.kernels)}.")
        return self


class ModelRecipe(Component):
    """The network: embedding, recurrent stack, head."""

    needs: ClassVar[Needs] = dict.fromkeys(("ngram_buckets", "ngram_dropout"), ("`ngrams`", lambda model: model.ngrams))
    kind: Kind = "auto"
    cell: str = Field(
        "lstm",
        description="any registered cell",
    )
    embedding_dim: PositiveInt = 64
    embedding: Literal["learned", "one_hot"] = Field(
        "learned", description="one_hot: a token is a unit vector; embedding_dim and embedding_std then say nothing"
    )
    embedding_std: Positive = Field(0.1, description="embeddings start from N(0, embedding_std)")
    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 1
    bidirectional: bool = False
    proj_size: Count = Field(0, description="cells with a projection (LSTM); 0: none")
    pooling: tuple[Pooling, ...] = Field(("last",), min_length=1, description="classifier: concatenated in this order")
    head_size: Count = Field(0, description="classifier, tagger: units of a ReLU layer before the output")
    ngrams: Annotated[int, BeforeValidator(no_bool), Field(ge=0, le=4)] = Field(
        0, description="classifier: a linear score of n-grams up to this length beside the recurrent path; 0: none"
    )
    ngram_buckets: PositiveInt = Field(1 << 20, description="weights that hashed n-grams share")
    ngram_dropout: Probability = Field(0.5, description="share of n-grams left out of the score")
    normalize_embeddings: bool = Field(False, description="mean 0 and variance 1 of each feature, by token frequency")
    feedback: Literal["none", "output"] = Field(
        "none", description="tagger: output: each step also reads the answer before (in training the true one)"
    )
    tie_embeddings: bool = Field(False, description="language model: output weights are the embedding's")
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
    embedding_dropout: Probability = Field(0.0, description="share of token types whose embedding is zeroed")
    input_dropout: Probability = Field(0.0, description="locked: the same units of a row at every step")
    input_noise: NonNegative = Field(0.0, description="in training: added to every number read, times N(0, 1)")
    input_scale: NonNegative = Field(0.0, description="in training: a row's numbers times exp(input_scale N(0, 1))")
    hidden_dropout: Probability = Field(0.0, description="locked: on the output of every layer")
    recurrent_dropout: Probability = Field(
        0.0, description="on the state where it meets its weights: the same units of a row at every step"
    )
    weight_dropout: Probability = Field(0.0, description="share of the state's weights left out of a whole batch")
    zoneout: tuple[Probability, ...] = Field(
        (), max_length=2, description="share of state values kept from the step before: one for all, or [h, c] (LSTM)"
    )
    head_dropout: Probability = Field(0.0, description="on what the head reads")
    members: PositiveInt = Field(
        1, description="classifier: so many networks, trained side by side, answer with the mean of their probabilities"
    )
    backend: Literal["auto", "reference", "torch", "native", "triton"] = "auto"
    recompute: bool = Field(
        False,
        description="keep no activations but at every sqrt(L)-th step, and compute them again in the backward pass: "
        "memory as sqrt(L) (language model: of the window `training.bptt`) for one more forward pass",
    )
    precision: Literal["full", "bf16"] = Field(
        "full", description="bf16: products of the recurrent layers in bfloat16, sums, state and weights in float32"
    )

    unknown_words: NonNegative = Field(
        0.0, description="tagger: while training, a word seen c times is read as <unk> with probability a / (a + c)"
    )
    characters: CharactersRecipe = CharactersRecipe()
    tagger: TaggerRecipe = TaggerRecipe()
    decoder: DecoderRecipe = DecoderRecipe()
    next_step: NextStepRecipe = NextStepRecipe()
    numbers: WrittenNumbersRecipe = WrittenNumbersRecipe()
    forecast: ForecastRecipe = ForecastRecipe()
    frames: FramesRecipe = FramesRecipe()
    convolution: ConvolutionRecipe = ConvolutionRecipe()

    @model_validator(mode="after")
    def _check(self) -> ModelRecipe:
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"`model.proj_size` must be below hidden_size ({self.hidden_size}). Received: {self.proj_size}."
            )
        for name in ("normalize_embeddings", "tie_embeddings"):
            if self.embedding == "one_hot" and getattr(self, name):
                raise ValueError(f"`model.{name}` needs learned embeddings. Received: embedding: one_hot.")
        if self.chrono is not None and self.forget_bias is not None:
            raise ValueError(
                "`model.chrono` and `model.forget_bias` set the same biases: give one of them. "
                f"Received: {self.chrono} and {self.forget_bias:g}."
            )
        if self.kind in ("language_model", "next_step") and self.bidirectional:
            what = "a language model" if self.kind == "language_model" else "next_step"
            raise ValueError(f"`model.bidirectional` must be false for {what}: it would read what it predicts.")
        return self
