"""What other packages add, through entry points: tasks, cells, readers and features.

A package names what it adds in its ``pyproject.toml``, and it is there as soon as the package is installed::

    [project.entry-points."ostinato.cells"]
    mgu = "my_package.cells:MGU"
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ostinato.errors import PluginError

T = TypeVar("T")


@cache
def found(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name, read once a process; nothing of them is imported yet.

    Args:
        group: ``ostinato.cells``, for example.

    Raises:
        PluginError: if two packages register one name.
    """
    by_name: dict[str, EntryPoint] = {}
    for point in entry_points(group=group):
        known = by_name.setdefault(point.name, point)
        if known.value != point.value:  # a package that is twice on the path is one
            raise _twice(group, point.name, _origin(known), _origin(point))
    return MappingProxyType(by_name)


class Registry(Mapping[str, T], Generic[T]):
    """Objects of one type by name: those that were added, then those of other packages, imported on first use.

    Args:
        group: the entry points' group.
        noun: what one of them is called in a message.
        accepts: whether what an entry point gives is such a thing.
        name_of: the name a thing has itself, which must be its entry point's; None: it has none.

    Example:
        >>> greetings = Registry("example.greetings", "greeting", lambda thing: isinstance(thing, str))
        >>> greetings.add("hello", "Hello!")
        >>> list(greetings), greetings["hello"]
        (['hello'], 'Hello!')
    """

    def __init__(
        self,
        group: str,
        noun: str,
        accepts: Callable[[Any], bool],
        name_of: Callable[[Any], str] | None = None,
    ) -> None:
        self._group, self._noun, self._accepts, self._name_of = group, noun, accepts, name_of
        self._added: dict[str, T] = {}
        self._loaded: dict[str, T] = {}

    def add(self, name: str, thing: T) -> None:
        """Make ``thing`` known. Raises PluginError if the name is taken."""
        if name in self._added:
            raise _twice(self._group, name, _module(self._added[name]), _module(thing))
        self._added[name] = thing

    def __getitem__(self, name: str) -> T:
        outside = self._outside()
        if name in self._added:
            return self._added[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(outside[name])
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter([*self._added, *self._outside()])

    def __len__(self) -> int:
        return len(self._added) + len(self._outside())

    def __contains__(self, name: object) -> bool:
        return name in self._outside() or name in self._added

    def from_outside(self) -> list[str]:
        """The names of those of other packages."""
        return list(self._outside())

    def _outside(self) -> Mapping[str, EntryPoint]:
        outside = found(self._group)
        for name in outside:
            if name in self._added:
                raise _twice(self._group, name, _module(self._added[name]), _origin(outside[name]))
        return outside

    def _load(self, point: EntryPoint) -> T:
        try:
            thing = point.load()
        except (ImportError, AttributeError) as error:
            raise PluginError(
                f"the {self._noun} `{point.name}` of {_origin(point)} can't be loaded: {error}."
            ) from error
        if not self._accepts(thing):
            raise PluginError(f"`{point.name}` of {_origin(point)} is no {self._noun}. Received: {thing!r}.")
        if self._name_of is not None and self._name_of(thing) != point.name:
            raise PluginError(
                f"the {self._noun} of {_origin(point)} is named `{self._name_of(thing)}`, its entry point "
                f"`{point.name}`: the names must match."
            )
        return thing  # type: ignore[no-any-return] # `accepts` looked


def _twice(group: str, name: str, first: str, second: str) -> PluginError:
    return PluginError(
        f"`{name}` is registered twice in `{group}`: by {first} and by {second}.",
        hint="uninstall one of the two, or rename one",
    )


def _origin(point: EntryPoint) -> str:
    package = f"the package {point.dist.name}" if point.dist is not None else "an unknown package"
    return f"{package} ({point.value})"


def _module(thing: object) -> str:
    return str(getattr(thing, "__module__", type(thing).__module__))
