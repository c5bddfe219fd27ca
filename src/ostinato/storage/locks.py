"""A run directory belongs to one training at a time."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from pathlib import Path
from types import TracebackType

from ostinato.errors import FolderInUseError, RunError
from ostinato.storage.files import unused
from ostinato.wording import option

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
_TRIES, _BETWEEN_S = 5, 0.02
"""Somebody who looks whether a folder is held holds it for a moment."""


def is_held(path: Path) -> bool:
    """Whether a process holds a folder (`FolderLock`), or has locked a file."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno in _TAKEN
    finally:
        os.close(descriptor)
    return False


class FolderLock:
    """A folder held by this process, until it is closed or the process ends, however it ends. Leaves no file behind.

    Where the file system knows no locks (some network mounts), nothing is held.

    Args:
        folder: is made if it isn't there.

    Raises:
        FolderInUseError: if another holds it.
        RunError: if it can't be made.
    """

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise RunError(f"can't use `{folder}` as a run directory: {error.strerror}.") from error
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError as error:
                if error.errno not in _TAKEN:
                    break
                if not left:
                    os.close(descriptor)
                    raise FolderInUseError(
                        f"`{folder}` is in use: another process trains there.", hint=option("--out", unused(folder))
                    ) from error
            time.sleep(_BETWEEN_S)
        self.folder, self._descriptor = folder, descriptor

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def is_empty(self) -> bool:
        """Whether the folder is empty."""
        return not any(self.folder.iterdir())

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)
