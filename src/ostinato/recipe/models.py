"""The configuration of a run: one frozen model a component, each default written once.

A recipe says where the data is, how columns become sequences, which model reads them and how it is trained. The
resolved recipe (nothing left to infer) is saved with the run as ``recipe.yaml`` and reads back to an equal object.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator


def _no_bool(value: object) -> object:
    """YAML's `true` is no count: without this, pydantic reads it as 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


Count = Annotated[int, BeforeValidator(_no_bool), Field(ge=0)]
PositiveInt = Annotated[int, BeforeValidator(_no_bool), Field(gt=0)]
Probability = Annotated[float, BeforeValidator(_no_bool), Field(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, BeforeValidator(_no_bool), Field(ge=0.0)]
Positive = Annotated[float, BeforeValidator(_no_bool), Field(gt=0.0)]
Pooling = Literal["last", "mean", "max", "attention"]


class Component(BaseModel):
    """What every part of a recipe shares: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)


class DataRecipe(Component):
    """Where rows come from, which columns matter, and what happens to rows that can't be read."""

    train: str | None = Field(
        None, description="a file, a folder (one subfolder a class), or catalogue name, `imdb:train`"
    )
    validation: Annotated[float, Field(gt=0.0, lt=1.0)] | str = Field(
        0.1, description="share of the training rows (last share of a text), or a file or catalogue name"
    )
    test: str | None = Field(None, description="what `ostinato evaluate RUN` scores when no file is given")
    format: Literal["auto", "csv", "tsv", "jsonl", "parquet", "text", "folder"] = "auto"
    encoding: Literal["auto", "utf-8", "latin-1"] = Field(
        "auto", description="auto: UTF-8 (with or without BOM) or Latin-1"
    )
    input: str | None = Field(None, description="the column that holds the sequence")
    target: str | None = Field(None, description="the column to predict; none for a language model")
    on_bad_row: Literal["stop", "skip"] = Field("stop", description="skip: set bad rows aside in rejected.jsonl")
    max_characters: PositiveInt = Field(1_000_000, description="a longer row is a bad row; a text file has no limit")
    group: str | None = Field(
        None, description="a column: rows that share its value are never split between training and validation"
    )
    split_seed: Count = Field(1, description="seed of the train/validation split")


class TextRecipe(Component):
    """How text becomes a sequence of integers. `None` means: the default of the unit, written out when resolved."""

    kind: Literal["text"] = "text"
    unit: Literal["words", "characters", "subwords"] | None = None
    markup: Literal["remove", "keep"] | None = Field(None, description="tags and entities; words: remove, else keep")
    case: Literal["fold", "keep"] | None = Field(None, description="words: fold, else keep")
    emoticons: Literal["in_place", "append", "drop"] = "in_place"
    punctuation: Literal["remove", "keep"] | None = Field(None, description="words: remove, else keep")
    digits: Literal["keep", "remove"] = "keep"
    contractions: Literal["split", "keep"] = Field("split", description="keep: don't stays one word")
    min_frequency: PositiveInt = Field(1, description="rarer tokens become <unk>")
    max_size: PositiveInt | None = Field(None, description="tokens kept, the most frequent first (subwords: 8000)")
    max_length: PositiveInt | None = Field(None, description="longer sequences are cut to this many tokens")
    truncate: Literal["tail", "head", "middle"] = Field("tail", description="which part is cut off")


class TargetRecipe(Component):
    """How the target column is read."""

    kind: Literal["auto", "class", "labels", "number"] = Field(
        "auto", description="class: one of several; labels: any number of several; number: regression"
    )
    separator: str = Field(",", min_length=1, description="between labels, where a cell is no JSON list")


class FeaturesRecipe(Component):
    """One feature a column."""

    input: TextRecipe = TextRecipe()
    target: TargetRecipe = TargetRecipe()


class ModelRecipe(Component):
    """The network: embedding, recurrent stack, head."""

    kind: Literal["auto", "classifier", "language_model"] = "auto"
    cell: str = Field(
        "lstm",
        description="any registered cell: elman, elman_layer_norm, elman_relu, gru, gru_layer_norm, gru_reset_before, "
        "lstm, lstm_layer_norm, lstm_peephole",
    )
    embedding_dim: PositiveInt = 64
    embedding_std: Positive = Field(0.1, description="embeddings start from N(0, embedding_std)")
    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 1
    bidirectional: bool = False
    proj_size: Count = Field(0, description="cells with a projection (LSTM); 0: none")
    pooling: tuple[Pooling, ...] = Field(("last",), min_length=1, description="classifier: concatenated in this order")
    head_size: Count = Field(0, description="classifier: units of a ReLU layer before the output")
    ngrams: Annotated[int, BeforeValidator(_no_bool), Field(ge=0, le=4)] = Field(
        0, description="classifier: a linear score of n-grams up to this length beside the recurrent path; 0: none"
    )
    ngram_buckets: PositiveInt = Field(1 << 20, description="weights that hashed n-grams share")
    ngram_dropout: Probability = Field(0.5, description="share of n-grams left out of the score")
    normalize_embeddings: bool = Field(False, description="mean 0 and variance 1 of each feature, by token frequency")
    tie_embeddings: bool = Field(False, description="language model: output weights are the embedding's")
    recurrent_init: Literal["default", "orthogonal", "identity"] = Field(
        "default", description="the state's weights: torch's default, or each gate's block orthogonal, or the identity"
    )
    forget_bias: float | None = Field(
        None, description="LSTM, GRU: initial bias of the gate that keeps the state (f, z); none: torch's default"
    )
    chrono: Annotated[int, BeforeValidator(_no_bool), Field(ge=3)] | None = Field(
        None, description="LSTM, GRU: gates start with time constants from 1 to this many steps; not with forget_bias"
    )
    word_dropout: Probability = Field(0.0, description="share of positions whose embedding is zeroed")
    embedding_dropout: Probability = Field(0.0, description="share of token types whose embedding is zeroed")
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
    def _check(self) -> ModelRecipe:
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"`model.proj_size` must be below hidden_size ({self.hidden_size}). Received: {self.proj_size}."
            )
        if self.chrono is not None and self.forget_bias is not None:
            raise ValueError(
                "`model.chrono` and `model.forget_bias` set the same biases: give one of them. "
                f"Received: {self.chrono} and {self.forget_bias:g}."
            )
        if self.kind == "language_model" and self.bidirectional:
            raise ValueError(
                "`model.bidirectional` must be false for a language model: it would read what it predicts."
            )
        return self


class BpttRecipe(Component):
    """Backpropagation through time, whole or truncated: a forward pass every k1 steps, gradients reaching back k2."""

    window: PositiveInt | None = Field(None, description="k1, steps between updates; none: the whole sequence")
    backprop: PositiveInt | None = Field(
        None, description="k2, steps that gradients reach back, >= k1; none: k1; random: on average; adaptive: at most"
    )
    carry_state: bool = Field(True, description="each window begins in the state the one before left, else in zeros")
    truncation: Literal["fixed", "random", "adaptive"] = Field(
        "fixed", description="random: unbiased (ARTBP); adaptive: as far as gradients were found to matter"
    )
    max_bias: Annotated[float, BeforeValidator(_no_bool), Field(gt=0.0, lt=1.0)] = Field(
        0.1, description="adaptive: share of the gradient that may be cut off"
    )

    @model_validator(mode="after")
    def _check(self) -> BpttRecipe:
        if self.window is None:
            changed = [name for name in type(self).model_fields if name in self.model_fields_set and name != "window"]
            if any(getattr(self, name) != type(self).model_fields[name].default for name in changed):
                raise ValueError(f"`training.bptt.window` must be set with {', '.join(changed)}. Received: none.")
            return self
        if self.backprop is not None and self.backprop < self.window:
            raise ValueError(
                f"`training.bptt.backprop` (k2) must be at least window (k1 = {self.window}): every step's loss is "
                f"propagated back. Received: {self.backprop}."
            )
        if self.truncation != "fixed" and (self.backprop or 0) <= self.window:
            raise ValueError(
                f"`training.bptt.backprop` must be above window ({self.window}) with truncation: {self.truncation}. "
                f"Received: {self.backprop}."
            )
        return self

    @property
    def reach(self) -> int | None:
        """k2; None: all the way."""
        return self.backprop or self.window

    @property
    def forgets_every(self) -> int | None:
        """Steps after which state is zero again, in training and ever after; None: never."""
        return None if self.carry_state else self.window


def _bptt(value: object) -> object:
    """`full` and a bare number of steps in place of the mapping."""
    if value == "full":
        return {"window": None}
    if isinstance(value, bool) or not isinstance(value, int | str):
        return value
    if isinstance(value, str) or value < 1:
        raise ValueError(f"must be full, a positive number of steps, or a mapping. Received: {value!r}.")
    return {"window": value}


def _bptt_written(value: BpttRecipe | None) -> object:
    if value is None:
        return None
    return "full" if value.window is None else value.model_dump(mode="json")


class TrainingRecipe(Component):
    """The optimisation. A budget is a number of epochs, of minutes, or both (whichever ends first)."""

    epochs: PositiveInt = 10
    max_minutes: Positive | None = Field(
        None, description="stop after this long; the schedule anneals over whichever budget is nearer its end"
    )
    batch_size: PositiveInt = Field(32, description="rows; for a language model: parallel streams")
    bptt: Annotated[BpttRecipe | None, BeforeValidator(_bptt), PlainSerializer(_bptt_written)] = Field(
        None,
        description="how far gradients go back: `full`, a number of steps, or a mapping of window, backprop, "
        "carry_state and truncation; none: a language model's windows have 100 steps, a classifier reads whole rows",
    )
    optimizer: Literal["adam", "adamw"] = "adam"
    learning_rate: Positive = 1e-3
    weight_decay: NonNegative = 0.0
    beta2: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.999
    schedule: Literal["constant", "linear", "cosine"] = Field("constant", description="after the warm-up, down to zero")
    warmup_steps: Count = 0
    clip: Literal["norm", "value", "group", "adaptive", "none"] = Field(
        "norm", description="group: each part of the model by its own norm; adaptive: at a quantile of recent norms"
    )
    max_norm: Positive = Field(
        1.0, description="clip: norm, group: a larger gradient is scaled down to it; value: clamps each entry"
    )
    clip_quantile: Annotated[float, BeforeValidator(_no_bool), Field(gt=0.0, le=1.0)] = Field(
        0.9, description="clip: adaptive: norms above this quantile of the recent ones are scaled down to it"
    )
    clip_history: PositiveInt = Field(100, description="clip: adaptive: how many steps are recent")
    on_divergence: Literal["stop", "rollback"] = Field(
        "stop", description="loss or gradient not finite; rollback: on from the last checkpoint at a lower rate"
    )
    rollback_factor: Annotated[float, BeforeValidator(_no_bool), Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="on_divergence: rollback: what the learning rate is multiplied by"
    )
    label_smoothing: Probability = 0.0
    vanishing_penalty: NonNegative = Field(
        0.0, description="weight of Pascanu's Omega, which keeps the norm of gradients on their way back; slow"
    )
    adversarial: NonNegative = Field(
        0.0, description="classifier: also train on embeddings moved this far (a row's norm) towards a higher loss"
    )
    monitor: Literal["loss", "accuracy", "f1"] = Field(
        "loss", description="the validation figure that picks the best epoch"
    )
    patience: PositiveInt | None = Field(None, description="epochs without a better `monitor` before stopping")
    seed: Count = 0
    checkpoint_minutes: Positive = 5.0
    checkpoint_steps: PositiveInt | None = Field(None, description="a checkpoint every so many steps, too")
    keep_checkpoints: PositiveInt = Field(2, description="the last ones that are kept")
    num_threads: PositiveInt | None = Field(None, description="none: torch's own choice")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU if there is one")


class Recipe(Component):
    """A whole run."""

    name: str = Field("run", min_length=1, pattern=r"^[^/\\]+$")
    data: DataRecipe = DataRecipe()
    features: FeaturesRecipe = FeaturesRecipe()
    model: ModelRecipe = ModelRecipe()
    training: TrainingRecipe = TrainingRecipe()

    @model_validator(mode="after")
    def _check(self) -> Recipe:
        if self.training.vanishing_penalty:
            for name in ("recurrent_dropout", "weight_dropout", "zoneout", "recompute"):
                if getattr(self.model, name):
                    raise ValueError(
                        f"`training.vanishing_penalty` does not go with `model.{name}`. "
                        f"Received: {getattr(self.model, name)!r}."
                    )
        return self
