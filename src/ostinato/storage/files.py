"""Files of a run, written so that a crash or a full disk leaves the old file whole."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import math
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from ostinato.errors import CheckpointError, RunError


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by a file with `content`: written to a temporary file, flushed to the disk, then renamed.

    Raises `CheckpointError` where the disk refuses; what was at `path` before is then untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)
        with open_own(partial, os.O_EXCL) as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise disk_error(path, error) from error


def open_own(path: Path, flags: int) -> BinaryIO:
    """A file of a run to write, made if it isn't there. A symbolic link, which may lead elsewhere, is not followed.

    Raises `OSError`, with ELOOP for a link.
    """
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | flags, 0o666), "wb")


def remove_partials(folder: Path) -> None:
    """Remove what `write_atomically` left behind where a process was killed in it."""
    for leftover in folder.glob(".*.partial"):
        if leftover.is_file() or leftover.is_symlink():
            leftover.unlink()


def sync_folder(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(path: Path, error: OSError) -> CheckpointError:
    """The error to raise when `path` could not be written."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    reason = "the disk is full" if full else (error.strerror or str(error))
    if error.errno == errno.ELOOP:
        reason = "it is a symbolic link"
    hint = "free some space, then resume with `ostinato train --resume RUN`" if full else None
    return CheckpointError(f"can't write `{path}`: {reason}. What was saved before is untouched.", hint=hint)


def unused(path: Path) -> Path:
    """A name like that of a path, of nothing that is there."""
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(one for one in numbered if not one.exists())


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def json_ready(values: Mapping[str, Any]) -> dict[str, Any]:
    """The same in plain values for JSON: tuples as lists, numbers that are not finite as None."""
    return {key: _plain(value) for key, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return json_ready(value) if isinstance(value, Mapping) else value


def read_json(path: Path, missing_ok: bool = False) -> dict[str, Any]:
    """The JSON object in a file of a run; of a missing one, with `missing_ok`, an empty one.

    Raises `RunError` if it is missing or damaged.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if missing_ok:
            return {}
        raise RunError(f"`{path}` is missing.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"`{path}` is damaged: {error}.") from error
    if not isinstance(found, dict):
        raise RunError(f"`{path}` is damaged: it holds no JSON object.")
    return found
