"""The optimisation, and how far back gradients go."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, model_validator

from ostinato.recipe.base import Component, Count, Needs, NonNegative, Positive, PositiveInt, Probability, Seed, no_bool

LOWER_IS_BETTER = ("loss", "token_error_rate", "sequence_error_rate", "mse", "mae", "smape", "mase", "rmse")
Monitor = Literal[
    "loss",
    "accuracy",
    "f1",
    "token_error_rate",
    "sequence_error_rate",
    "exact",
    "bleu",
    "mse",
    "mae",
    "rmse",
    "smape",
    "mase",
    "r2",
]


class BpttRecipe(Component):
    """Backpropagation through time, whole or truncated: a forward pass every k1 steps, gradients reaching back k2."""

    needs: ClassVar[Needs] = {"max_bias": ("`truncation: adaptive`", lambda bptt: bptt.truncation == "adaptive")}
    window: PositiveInt | None = Field(None, description="k1, steps between updates; none: the whole sequence")
    backprop: PositiveInt | None = Field(
        None, description="k2, steps that gradients reach back, >= k1; none: k1; random: on average; adaptive: at most"
    )
    carry_state: bool = Field(True, description="each window begins in the state the one before left, else in zeros")
    truncation: Literal["fixed", "random", "adaptive"] = Field(
        "fixed", description="random: unbiased (ARTBP); adaptive: as far as gradients were found to matter"
    )
    max_bias: Annotated[float, BeforeValidator(no_bool), Field(gt=0.0, lt=1.0)] = Field(
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
    def state_reset_interval(self) -> int | None:
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
    """The optimisation. A budget is a number of steps, of epochs, of minutes, or several (whichever ends first)."""

    needs: ClassVar[Needs] = {
        "max_norm": ("`clip`: norm, value or group", lambda training: training.clip not in ("adaptive", "none")),
        **dict.fromkeys(
            ("clip_quantile", "clip_history"),
            ("`clip: adaptive`", lambda training: training.clip == "adaptive"),
        ),
        "clock": ("`max_minutes`", lambda training: training.max_minutes is not None or training.is_open),
        "search": ("a plan", lambda training: training.plan is not None or training.is_open),
        "rollback_factor": ("`on_divergence: rollback`", lambda training: training.on_divergence == "rollback"),
    }
    epochs: PositiveInt | None = Field(
        None, description="how often all rows are read; none: a budget, and what else is left open, by a plan"
    )
    steps: PositiveInt | None = Field(None, description="updates; none: of the epochs, or by a plan")
    max_minutes: Positive | None = Field(
        None, description="stop after this long; the schedule anneals over whichever budget is nearer its end"
    )
    plan: str | None = Field(
        None, description="the plan that filled in what a recipe without epochs left open, and its reason: by `train`"
    )
    search: Literal["none", "portfolio"] = Field(
        "none",
        description="of a plan; portfolio: its alternatives are tried on held-out training rows before it is trained",
    )
    clock: Literal["wall", "processor"] = Field(
        "wall",
        description="what `max_minutes` counts: time that passes, or processor time of all threads, which other work "
        "on the machine does not change; the run's seconds are measured by it",
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
    clip_quantile: Annotated[float, BeforeValidator(no_bool), Field(gt=0.0, le=1.0)] = Field(
        0.9, description="clip: adaptive: norms above this quantile of the recent ones are scaled down to it"
    )
    clip_history: PositiveInt = Field(100, description="clip: adaptive: how many steps are recent")
    on_divergence: Literal["stop", "rollback"] = Field(
        "stop", description="loss or gradient not finite; rollback: on from the last checkpoint at a lower rate"
    )
    rollback_factor: Annotated[float, BeforeValidator(no_bool), Field(gt=0.0, lt=1.0)] = Field(
        0.5, description="on_divergence: rollback: what the learning rate is multiplied by"
    )
    label_smoothing: Probability = 0.0
    class_weight: Literal["none", "balanced"] = Field(
        "none",
        description="of the loss of classes or tags; balanced: each counts N / (K n), n of N being of its class, of K",
    )
    vanishing_penalty: NonNegative = Field(
        0.0, description="weight of Pascanu's Omega, which keeps the norm of gradients on their way back; slow"
    )
    adversarial: NonNegative = Field(
        0.0, description="classifier: also train on embeddings moved this far (a row's norm) towards a higher loss"
    )
    monitor: Monitor = Field("loss", description="the validation figure that picks the best epoch")
    keep: Literal["best", "last"] = Field(
        "best", description="whose weights the run keeps: of the best epoch by `monitor`, or of the last one"
    )
    refit: Literal["none", "solved", "all"] = Field(
        "none",
        description="for new data, once a share of the rows has validated: what was solved (counts, linear scores) is "
        "solved again with them, or all is trained again",
    )
    patience: PositiveInt | None = Field(None, description="epochs without a better `monitor` before stopping")
    seed: Seed = 0
    checkpoint_minutes: Positive = 5.0
    checkpoint_steps: PositiveInt | None = Field(None, description="also a checkpoint every so many steps")
    keep_checkpoints: PositiveInt = Field(2, description="the last ones that are kept")
    baselines_seconds: NonNegative = Field(
        20.0,
        description="for simple baselines, once training has ended, and never more than training took; 0: none",
    )
    num_threads: Annotated[PositiveInt, Field(le=1024)] | None = Field(None, description="none: torch's own choice")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU if there is one")

    @property
    def is_open(self) -> bool:
        """Whether a plan is to be made: neither epochs were set, nor was one made before."""
        return self.epochs is None and self.plan is None

    def longer(self, times: float = 2) -> dict[str, float]:
        """The keys of a budget so many times as large."""
        steps: dict[str, float] = {"training.steps": round(times * self.steps)} if self.steps else {}
        if self.max_minutes is not None:
            return {**steps, "training.max_minutes": times * self.max_minutes}
        return steps or {"training.epochs": round(times * (self.epochs or 1))}
