"""What every part of a recipe shares: a frozen component, and the kinds of numbers."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def no_bool(value: object) -> object:
    """YAML's `true` is no count: without this, pydantic reads it as 1."""
    if isinstance(value, bool):
        raise ValueError(f"must be a number. Received: {str(value).lower()}.")
    return value


Count = Annotated[int, BeforeValidator(no_bool), Field(ge=0)]
PositiveInt = Annotated[int, BeforeValidator(no_bool), Field(gt=0)]
Probability = Annotated[float, BeforeValidator(no_bool), Field(ge=0.0, lt=1.0)]
NonNegative = Annotated[float, BeforeValidator(no_bool), Field(ge=0.0)]
Positive = Annotated[float, BeforeValidator(no_bool), Field(gt=0.0)]


class Component(BaseModel):
    """What every part of a recipe shares: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)
