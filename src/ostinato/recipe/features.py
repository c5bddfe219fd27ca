"""How columns become sequences: one component a kind; those of other packages by the group `ostinato.features`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, SerializeAsAny, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from ostinato.errors import RecipeError
from ostinato.plugins import Registry
from ostinato.recipe.base import Component, Needs, PositiveInt, SectionError
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
    separator: str = Field(",", min_length=1, description="between labels, where a cell is not a JSON list")

    @property
    def undecided(self) -> bool:
        """Whether the cells are still to say what they hold."""
        return self.kind == "auto"


FEATURES: Registry[Any] = Registry(
    "ostinato.features",
    "feature",
    lambda thing: isinstance(thing, type) and hasattr(thing, "recipe_type"),
    lambda thing: str(thing.recipe_type.model_fields["kind"].default),
)
"""Every feature by its kind; `data.features` adds our own, and says what they are."""


def kinds_from_outside(place: str) -> list[str]:
    """Kinds of other packages that may be at `features.input`, `features.extra` or `features.target`, which must be
    of such as are predicted; nowhere else is any."""
    return [kind for kind in FEATURES.from_outside() if _may_stand(kind, place)]


def _may_stand(kind: str, place: str) -> bool:
    return place in ("features.input", "features.extra") or (place == "features.target" and FEATURES[kind].predicted)


def components_from_outside(place: str) -> list[type[Component]]:
    """What describes these kinds."""
    return [FEATURES[kind].recipe_type for kind in kinds_from_outside(place)]


def _column(place: str, default: str) -> WrapValidator:
    """A mapping is described by its kind's component; one without `kind` is of the default kind."""

    def validate(value: Any, ours: ValidatorFunctionWrapHandler) -> Any:
        kind = value.get("kind", default) if isinstance(value, Mapping) else getattr(value, "kind", None)
        if kind not in FEATURES.from_outside() or not _may_stand(str(kind), place):
            return ours({"kind": default, **value} if isinstance(value, Mapping) else value)
        try:
            return FEATURES[kind].recipe_type.model_validate(value)
        except ValidationError as error:  # reported as pydantic does for our own kinds
            raise SectionError([{**item, "loc": (kind, *item["loc"])} for item in error.errors()]) from error

    return WrapValidator(validate)


InputRecipe = Annotated[
    SerializeAsAny[
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
        | NumbersRecipe
    ],
    Field(discriminator="kind"),
    _column("features.input", "text"),
]
"""A column that is read."""

OutputRecipe = Annotated[
    SerializeAsAny[
        TargetRecipe | TagsRecipe | TextRecipe | TokensRecipe | SeriesRecipe | NotesRecipe | AudioRecipe | VideoRecipe
    ],
    Field(discriminator="kind"),
    _column("features.target", "auto"),
]
"""The column to predict: one value a row, or a sequence."""


class FeaturesRecipe(Component):
    """One feature a column."""

    input: InputRecipe = TextRecipe()
    target: OutputRecipe = TargetRecipe()
    extra: dict[str, InputRecipe] = Field({}, description="covariates (further columns), by name")

    @property
    def text(self) -> TextRecipe:
        """The input's recipe where it is text. Raises `RecipeError` where it is not."""
        if not isinstance(self.input, TextRecipe):
            raise RecipeError(f"`features.input.kind` must be text here. Received: {self.input.kind}.")
        return self.input
