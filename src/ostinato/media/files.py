"""Files of sound, pictures and music: which suffix is what, and how a cell that names one is opened.

A cell is a path, or `ARCHIVE#MEMBER` for a file in a .tar(.gz, .xz, .bz2) or .zip archive, which is unpacked into a
temporary folder when its first member is asked for, and removed when the process ends.
"""

from __future__ import annotations

import atexit
import shutil
import tarfile
import tempfile
import threading
import zipfile
from pathlib import Path, PurePosixPath

from ostinato.errors import DataError, RunError

MEDIA = {
    "audio": (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    "video": (".mp4", ".avi", ".mov", ".mkv", ".webm"),
    "notes": (".mid", ".midi"),
    "image": (".png", ".jpg", ".jpeg", ".bmp"),
}
"""Suffixes of media files by the kind that reads them."""
ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.xz", ".tar.bz2", ".zip")
"""How the names of archives end."""
_KIND_OF = {suffix: kind for kind, suffixes in MEDIA.items() for suffix in suffixes}
_unpacked: dict[tuple[str, int, int], Path] = {}
_lock = threading.Lock()


def kind_of_file(name: str) -> str | None:
    """The kind of feature that reads a file, by its suffix; None for other files."""
    return _KIND_OF.get(PurePosixPath(name).suffix.lower())


def is_archive(path: Path) -> bool:
    """Whether a path is named as an archive."""
    return path.name.lower().endswith(ARCHIVES)


def media_path(cell: str) -> Path:
    """The file that a cell names, on this machine's disk.

    Raises:
        DataError: if there is none, or its archive is damaged.
    """
    path = Path(cell)
    if path.is_file():
        return path
    archive, mark, member = cell.partition("#")
    if mark and is_archive(Path(archive)) and Path(archive).is_file():
        found = unpacked(Path(archive)) / member
        if found.is_file() and not PurePosixPath(member).is_absolute() and ".." not in PurePosixPath(member).parts:
            return found
        raise DataError(f"`{archive}` has no member `{member}`")
    raise DataError(f"no such file: `{cell}`")


def require_place(path: Path, suffixes: tuple[str, ...], what: str) -> None:
    """Raise `RunError` for a suffix that says no format, or a folder that is not there."""
    suffix = PurePosixPath(path.name).suffix.lower()
    if suffix not in suffixes:
        raise RunError(f"a file of {what} must end in {', '.join(suffixes)}. Received: `{path.name}`.")
    if not path.parent.is_dir():
        raise RunError(f"there is no folder `{path.parent}` to write `{path.name}` into.")


def unpacked(archive: Path) -> Path:
    """The folder an archive is unpacked into, once a process. Raises `DataError` if it is damaged."""
    status = archive.stat()
    key = (str(archive.resolve()), status.st_mtime_ns, status.st_size)
    with _lock:
        if key not in _unpacked:
            folder = Path(tempfile.mkdtemp(prefix="ostinato-media-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            _unpack(archive, folder)
            _unpacked[key] = folder
        return _unpacked[key]


def _unpack(archive: Path, folder: Path) -> None:
    """Its media files only; a name that would lead out of the folder is refused."""
    try:
        if archive.suffix.lower() == ".zip":
            with zipfile.ZipFile(archive) as opened:
                opened.extractall(folder, [name for name in opened.namelist() if kind_of_file(name)])
        else:
            with tarfile.open(archive) as tar:
                tar.extractall(folder, (m for m in tar if m.isfile() and kind_of_file(m.name)), filter="data")
    except (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise DataError(f"can't unpack `{archive}`: {str(error).rstrip('.') or type(error).__name__}.") from error
