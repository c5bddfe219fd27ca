"""Libraries that come with an extra, imported where they are needed."""

from __future__ import annotations

import importlib
from typing import Any

from ostinato.errors import MissingLibraryError

_CALLED = {"PIL": "Pillow"}


def library(name: str, purpose: str, extra: str) -> Any:
    """A module of a library.

    Args:
        name: of the module.
        purpose: what needs it, for the message: `reading video`.
        extra: of this package, which brings it.

    Raises:
        MissingLibraryError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise MissingLibraryError(
            f"{purpose} needs {_CALLED.get(package, package)}, which is not installed.",
            hint=f"pip install 'ostinato[{extra}]'",
        ) from error
