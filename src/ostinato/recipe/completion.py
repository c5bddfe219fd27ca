"""What a shell completes `--set` to: the keys of a recipe, and the values of those that have few."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from ostinato.recipe.paths import option_paths, types_at


def completed(incomplete: str) -> list[str]:
    """Keys that begin like this, with their `=`; after it, what they may be.

    Example:
        >>> completed("training.epo"), completed("data.on_gap=m")
        (['training.epochs='], ['data.on_gap=mask'])
    """
    key, equals, value = incomplete.partition("=")
    if not equals:
        return [f"{path}=" for path in dict.fromkeys(option_paths()) if path.startswith(key)]
    return [f"{key}={one}" for one in dict.fromkeys(_values(key)) if one.startswith(value)]


def _values(key: str) -> list[str]:
    found = list[str]()
    for kind in types_at(key):
        if get_origin(kind) is Literal:
            found += map(str, get_args(kind))
        elif kind is bool:
            found += ["true", "false"]
    return found
