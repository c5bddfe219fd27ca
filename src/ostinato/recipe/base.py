"""The base of all parts of a recipe: a frozen component, and numeric types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

Item = Mapping[str, Any]
"""A mistake, as pydantic reports it."""
UNREAD = "unread"
"""The type of pydantic's error for a key that nothing would read."""


class SectionError(ValueError):
    """Mistakes in a part of a recipe whose type its own keys say."""

    def __init__(self, items: list[Item]) -> None:
        super().__init__(f"{len(items)} mistakes")
        self.items = items

    def errors(self) -> list[Item]:
        """As of pydantic's own error."""
        return self.items


def no_bool(value: object) -> object:
    """YAML's `true` is no count: without this, pydantic reads it as 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


def components(annotation: Any) -> list[type[BaseModel]]:
    """The components that a field may hold, however they are wrapped."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [one for part in get_args(annotation) for one in components(part)]


Count = Annotated[int, BeforeValidator(no_bool), Field(ge=0)]
Seed = Annotated[int, BeforeValidator(no_bool), Field(ge=0, lt=2**63)]
PositiveInt = Annotated[int, BeforeValidator(no_bool), Field(gt=0)]
Probability = Annotated[float, BeforeValidator(no_bool), Field(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, BeforeValidator(no_bool), Field(ge=0.0)]
Positive = Annotated[float, BeforeValidator(no_bool), Field(gt=0.0)]


def _one(value: object) -> object:
    """A list of one name is that name."""
    names = value if isinstance(value, list | tuple) and value else [value]
    if value is not None and not all(isinstance(name, str) for name in names):
        raise ValueError(f"must be the name of a column, or a list of names. Received: {value!r}.")
    return names[0] if len(names) == 1 else value


Columns = Annotated[str | tuple[str, ...] | None, BeforeValidator(_one)]
"""A column, or several that are read as one."""


def named_by(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """The columns of an option that takes one name or several."""
    return () if columns is None else (columns,) if isinstance(columns, str) else tuple(columns)


Needs = Mapping[str, tuple[str, Callable[[Any], object]]]


def is_usual(value: object, field: FieldInfo) -> bool:
    """Whether an option is as it is when nothing is said, or is switched off where it would not be read."""
    usual = field.get_default(call_default_factory=True)
    is_off = value is False or value == "stop"
    return bool(value == usual or (is_off and usual is not True))


class Component(BaseModel):
    """The base of all parts of a recipe: frozen; an unknown key is an error, and so is one that nothing would read."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)

    needs: ClassVar[Needs] = {}
    """Keys that only apply with others: what they need in words, and whether it is there."""

    @model_validator(mode="after")
    def _check_needs(self) -> Self:
        for key, (what, there) in self.needs.items():
            value = getattr(self, key)
            if not is_usual(value, type(self).model_fields[key]) and not there(self):
                text = f"`{key}` only applies with {what}. Received: {value!r}."
                raise PydanticCustomError(UNREAD, "{error}", {"error": text, "key": key})
        return self
