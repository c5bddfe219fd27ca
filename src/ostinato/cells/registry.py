"""All cells by name: our own and those of other packages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from ostinato.cells.cell import Cell
from ostinato.errors import ArgumentError, RecipeError
from ostinato.plugins import Registry
from ostinato.wording import meant

_CELLS: Registry[Cell] = Registry(
    "ostinato.cells", "cell", lambda thing: isinstance(thing, Cell), lambda cell: str(cell.name)
)
CellT = TypeVar("CellT", bound=Cell)


def register(cell: CellT) -> CellT:
    """Make ``cell`` available under ``cell.name``; returns it.

    Raises:
        PluginError: if the name is taken.
    """
    _CELLS.add(cell.name, cell)
    return cell


def names() -> list[str]:
    """Names of every cell there is, other packages' among them, sorted."""
    return sorted(_CELLS)


def lightest(accepts: Callable[[Cell], bool] = lambda cell: True) -> Cell:
    """The cell with the fewest gates of those that the native core runs and that ``accepts``.

    Example:
        >>> lightest(lambda cell: cell.keeping_gate is not None).name
        'gru'
    """
    fast = (get(name) for name in names() if get(name).native is not None)
    return min(filter(accepts, fast), key=lambda cell: len(cell.gates))


def normalised(name: str) -> str | None:
    """The layer-normalised variant of a cell, or None.

    Example:
        >>> normalised("elman"), normalised("jordan")
        ('elman_layer_norm', None)
    """
    variants = (other for other in names() if type(get(other)) is type(get(name)) and get(other).layer_norm)
    return None if get(name).layer_norm else next(variants, None)


def get(name: str) -> Cell:
    """The cell called ``name``.

    Raises:
        RecipeError: if there is none, with the nearest name as hint.

    Example:
        >>> get("lstm").gates
        ('i', 'f', 'g', 'o')
    """
    if name not in _CELLS:
        raise RecipeError(
            f"`cell` must be one of {', '.join(names())}. Received: {name!r}.",
            instead=meant(name, _CELLS),
        )
    return _CELLS[name]


def check_takes(cell: Cell, option: str, value: object) -> None:
    """Raise an ArgumentError if a layer's option is not defined for a cell; ``value``: what it was set to."""
    why = cell.undefined_options().get(option)
    if why is not None:
        able = [name for name in names() if option not in get(name).undefined_options()]
        raise ArgumentError(
            f"`{option}` does not apply to the cell `{cell.name}`: {why}. Received: {value!r}.",
            hint=f"cells that take it: {', '.join(able)}.",
            instead=(cell.name, able[0]) if able else None,
        )
