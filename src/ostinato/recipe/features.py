"""How columns become sequences: one component a kind."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field

from ostinato.errors import RecipeError
from ostinato.recipe.base import Component, Needs, PositiveInt
from ostinato.recipe.kinds import (
    AudioRecipe,
    CategoryRecipe,
    DnaRecipe,
    ImageRecipe,
    NotesRecipe,
    NumbersRecipe,
    ProteinRecipe,
    SeriesRecipe,
    TagsRecipe,
    TokensRecipe,
    VideoRecipe,
)

_ALL_KEPT = ("keep", "keep", "in_place")


class TextRecipe(Component):
    """How text becomes a sequence of integers. `None` means: the default of the unit, written out when resolved."""

    needs: ClassVar[Needs] = {
        "truncate": ("`max_length`", lambda text: text.max_length is not None),
        "contractions": (
            "`unit: words`, or something that is removed",
            lambda text: (
                text.unit in (None, "words")
                or (text.punctuation, text.digits, text.emoticons) not in ((None, "keep", "in_place"), _ALL_KEPT)
            ),
        ),
    }
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

    @property
    def undecided(self) -> bool:
        """Whether the cells are still to say what they hold."""
        return self.kind == "auto"


def _named(default: str) -> BeforeValidator:
    """A mapping without `kind` is of the default kind."""

    def validate(value: object) -> object:
        return {"kind": default, **value} if isinstance(value, dict) and "kind" not in value else value

    return BeforeValidator(validate)


InputRecipe = Annotated[
    TextRecipe
    | TokensRecipe
    | SeriesRecipe
    | AudioRecipe
    | VideoRecipe
    | ImageRecipe
    | NotesRecipe
    | DnaRecipe
    | ProteinRecipe
    | CategoryRecipe
    | NumbersRecipe,
    Field(discriminator="kind"),
    _named("text"),
]
"""A column that is read."""

OutputRecipe = Annotated[
    TargetRecipe | TagsRecipe | TextRecipe | TokensRecipe | SeriesRecipe | NotesRecipe | AudioRecipe | VideoRecipe,
    Field(discriminator="kind"),
    _named("auto"),
]
"""The column to predict: one value a row, or a sequence."""


class FeaturesRecipe(Component):
    """One feature a column."""

    input: InputRecipe = TextRecipe()
    target: OutputRecipe = TargetRecipe()
    extra: dict[str, InputRecipe] = Field({}, description="further columns beside the input, by name")

    @property
    def text(self) -> TextRecipe:
        """The input's recipe where it is text. Raises `RecipeError` where it is not."""
        if not isinstance(self.input, TextRecipe):
            raise RecipeError(f"`features.input.kind` must be text here. Received: {self.input.kind}.")
        return self.input
