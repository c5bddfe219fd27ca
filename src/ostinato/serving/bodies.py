"""What requests and answers hold, as OpenAPI describes them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from ostinato.tasks.intervening import bounded

_COLDEST = 0.001
Intervened: TypeAlias = Annotated[str | list[str] | dict[str, float | str] | None, AfterValidator(bounded)]

Sequence = Field(
    default=None,
    ge=1,
    description="The number of this operation on its session, from 1. Sent again with the same number, it is done once "
    "and answered alike; a number that is not the next one is refused.",
)


Intervening = Field(
    default=None,
    description="Units or gates that are changed: `layer 1.c[3] = 0`, a list of these, or an object by part, "
    '{"layer 1.c[3]": 0, "layer 2.h": "*= 0.5 from 12"}; steps are counted from the first one of this request. '
    "At most 64, of 200 characters each.",
)


class Body(BaseModel):
    """A request's body: an unknown member is refused."""

    model_config = ConfigDict(extra="forbid")


class Create(Body):
    """A new session."""

    seed: int = Field(0, ge=0, lt=2**63, description="Of the random numbers that it draws with.")
    sample_rate: int | None = Field(
        None, ge=1, description="Hz, of the sound that it will be given; refused if the model reads another."
    )


class Step(Body):
    """Steps to read."""

    inputs: Any = Field(
        description="One step or more, as the run's input column holds them: a text, a list of numbers. Of models "
        "that read sound, any number of samples, from -1 to 1: a list of numbers, or their bytes (little-endian) in "
        'base64, {"int16": "…"} or {"float32": "…"}.'
    )
    answers: Literal["each", "last", "none"] = Field("each", description="Of which steps an answer is wanted.")
    intervene: Intervened = Intervening
    sequence: int | None = Sequence


class Carry(Body):
    """Steps to read in a session whose state is kept by whoever asks."""

    inputs: Any = Field(description="As of a step.")
    answers: Literal["each", "last", "none"] = Field("each", description="Of which steps an answer is wanted.")
    intervene: Intervened = Intervening
    state: bytes = Field(b"", description="What was answered last, or a snapshot in base64; none: it begins.")


def _temperature(value: float) -> float:
    if 0 < value < _COLDEST:  # what is divided by it would be no number
        raise ValueError(f"must be 0, or {_COLDEST} or more")
    return value


class Sampling(Body):
    """How tokens are drawn."""

    max_new_tokens: int = Field(200, ge=1, le=100_000, description="At most so many.")
    temperature: Annotated[float, AfterValidator(_temperature)] = Field(
        1.0, ge=0, le=100, description="Below 1 safer, above wilder, 0 always the likeliest; else from 0.001 on."
    )
    top_k: int | None = Field(None, ge=1, lt=2**31, description="Only from so many of the likeliest.")
    top_p: float = Field(1.0, gt=0, le=1, description="Only from the likeliest that make up this share.")
    intervene: Intervened = Intervening


class Write(Sampling):
    """Steps that a session writes, and reads."""

    seed: int | None = Field(None, ge=0, lt=2**63, description="Begins new random numbers; else they go on.")
    alternatives: int = Field(0, ge=0, le=100, description="So many of what was likely are answered for each step.")
    sequence: int | None = Sequence


class Generate(Sampling):
    """What is written without a session."""

    prompt: str | list[Any] = Field("", description="How it begins: a text, or a list of frames.")
    condition: Any = Field(None, description="What is given to write for: a cell, or an object by column.")
    num: int | None = Field(None, ge=1, le=100, description="Sequences to draw for a condition.")
    seed: int = Field(0, ge=0, lt=2**63)


class Rewind(Body):
    """Back to an earlier step."""

    to: int = Field(ge=0, description="The session is as it was after so many steps.")
    sequence: int | None = Sequence


class Rows(Body):
    """Rows to predict."""

    rows: list[Any] = Field(max_length=10_000, description="Cells of the input column, or objects by column.")
    intervene: Intervened = Intervening


class Score(Body):
    """A sequence to score."""

    inputs: Any = Field(description="The whole sequence, as the run's input column holds it.")


class SessionFacts(BaseModel):
    """What is known of a session."""

    session: str
    sequence: int
    steps: int
    first_step: int = Field(description="The earliest step that it can be rewound to.")
    ended: bool
    bytes: int
    created: float


class SessionList(BaseModel):
    """The sessions of whoever asks."""

    sessions: list[SessionFacts]


class Stepped(BaseModel):
    """What steps came to."""

    session: str
    sequence: int
    steps: int = Field(description="That the session has read and written by now.")
    answers: list[dict[str, Any]]


class Carried(BaseModel):
    """What steps came to, and the state to send with the next ones."""

    steps: int
    answers: list[dict[str, Any]]
    state: str = Field(description="Signed, in base64: any server of this run and key goes on from it.")


class WrittenSteps(BaseModel):
    """What was written."""

    session: str
    sequence: int
    steps: int
    pieces: list[Any]
    ended: bool
    likely: list[list[dict[str, Any]]] = Field(default=[], description="For each piece, what was likely there.")


class Rewound(BaseModel):
    """Where a session stands."""

    session: str
    sequence: int
    steps: int


class Peeked(BaseModel):
    """The answer as it stands."""

    session: str
    steps: int
    answer: dict[str, Any]


class Finished(BaseModel):
    """What would still be answered if nothing more came."""

    session: str
    steps: int
    answers: list[dict[str, Any]]


class Scored(BaseModel):
    """An answer for each step."""

    steps: int
    answers: list[dict[str, Any]]


class Predictions(BaseModel):
    """A prediction for each row, in their order."""

    predictions: list[dict[str, Any]]


class Evaluated(BaseModel):
    """Figures on labelled rows."""

    metrics: dict[str, Any] = Field(description="With `intervals` of 95 %.")
    notes: list[str] = Field(description="What is to be said of them, or of the file.")


class ModelFacts(BaseModel):
    """What the world may know of a model."""

    model_config = ConfigDict(extra="allow")
    name: str
    task: str
    noun: str = Field(description="What its task makes, in a word.")
    cell: str
    weights: str = Field(description="A checksum of all that its answers come from.")
    reads: str = Field(description="The kind of its input column.")
    sessions: bool = Field(description="Whether it has sessions; `no_sessions` says why not.")
    writes: bool = Field(description="Whether its sessions write.")
    signature: dict[str, Any] = Field(description="Inputs, outputs and states, with their axes.")
    validation: dict[str, Any] | None = Field(description="Figures at the end of training.")
    test: dict[str, Any] | None = Field(description="What `ostinato evaluate` found last.")
    certificate: dict[str, Any] | None = Field(description="What `ostinato verify` found.")


class ModelList(BaseModel):
    """The models that are served."""

    models: list[ModelFacts]


class Problem(BaseModel):
    """An error (RFC 9457), in the three parts that the command line prints."""

    title: str = Field(description="What was expected.")
    status: int
    detail: str = Field(description="What was received.")
    hint: str | None = Field(None, description="What helps.")
