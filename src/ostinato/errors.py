"""Exception classes of Ostinato, and nothing else.

Every error a user can cause is an :class:`OstinatoError`: one sentence that names the thing, what was expected and what
was received, and, where a fix is known, a ``hint``. The command line prints it without a traceback and exits with 1.
"""

from __future__ import annotations

_LONGEST, _HEAD, _TAIL = 4000, 3000, 900


def _bounded(text: str) -> str:
    """A cell of a million characters is not said whole."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_HEAD]} … ({len(text) - _HEAD - _TAIL:,} characters more) … {text[-_TAIL:]}"


class OstinatoError(Exception):
    """Base class: ``message`` says what is wrong, ``hint`` (optional) says what to do about it.

    ``instead``: what was received and what was probably meant; where there is no other hint, it is the hint. None of
    them is longer than 4,000 characters.
    """

    def __init__(self, message: str, *, hint: str | None = None, instead: tuple[str, str] | None = None) -> None:
        super().__init__(_bounded(message))
        self.message, self.instead = _bounded(message), instead
        if hint is None and instead is not None:
            hint = f"did you mean {instead[1]}?"
        self.hint = None if hint is None else _bounded(hint)

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}\nhint: {self.hint}"


class RecipeError(OstinatoError):
    """A recipe, a ``--set`` or an argument that does not describe a possible run."""


class UndecidedError(RecipeError):
    """A recipe that leaves open which columns are read and predicted; whoever sees it may choose.

    ``columns``: each with some of what it holds; ``likely``: the input and the target that are most likely, the
    likeliest first; ``choices``: the options of the likeliest commands, as words.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        columns: dict[str, str],
        likely: tuple[list[str], list[str]],
        choices: list[list[str]],
    ) -> None:
        super().__init__(message, hint=hint)
        self.columns, self.likely, self.choices = columns, likely, choices


class ArgumentError(RecipeError, ValueError):
    """An argument of a layer whose value describes no possible one; a ValueError as in ``torch.nn``."""


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a layer that is of another type; a TypeError as in ``torch.nn``."""


class DataError(OstinatoError, ValueError):
    """Files, rows or columns that can't be used as they are."""


class RunError(OstinatoError, RuntimeError):
    """A run directory that is missing, foreign or damaged, or whose model can't do what was requested."""


class FolderInUseError(RunError):
    """A run directory in which another process trains."""


class RowError(RunError, ValueError, TypeError):
    """A row given by hand that can't be used."""


class PluginError(OstinatoError):
    """An extension by another package that can't be used: its name is taken, or it is not of the right type."""


class MissingLibraryError(OstinatoError, ImportError):
    """Something that needs a library of an extra which is not installed."""


class CheckpointError(RunError):
    """A checkpoint that can't be written or read."""


class BackendError(OstinatoError, RuntimeError):
    """A backend that was asked for by name and can't run this layer on this machine."""


class ShapeError(OstinatoError, ValueError, RuntimeError):
    """Tensors whose shape, dtype or device does not fit the layer; ``torch.nn`` raises the one or the other."""
