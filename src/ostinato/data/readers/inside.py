"""What is in an archive: the file, or folder, that a reader is to be found for."""

from __future__ import annotations

import re
from pathlib import Path

from ostinato.errors import DataError
from ostinato.media.files import kind_of_file
from ostinato.storage.unpack import unpacked
from ostinato.wording import listed, meant

_ABOUT = re.compile(
    r"(?:readme|licen[cs]e|copying|citation|changelog|authors)\b.*|.*\.(?:md|pdf|html?|names|rst|docx?)", re.I
)
"""Names of files about data."""


def member_of(archive: Path, part: str | None) -> tuple[Path, list[str]]:
    """What an archive holds: the one file in it, those about it set aside, or the innermost folder of everything.

    Args:
        archive: of files.
        part: a member, file or folder, that is meant alone.

    Returns:
        the path in the folder that it is unpacked into, and the names of files that were set aside.

    Raises:
        DataError: for an archive that can't be unpacked, is empty, or has no such member.
    """
    folder = unpacked(archive)
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
    if not names:
        raise DataError(f"`{archive}` holds no file.")
    if part is not None:
        if ".." in Path(part).parts or not (folder / part).exists():
            raise DataError(
                f"`{archive}` has no member `{part}`. It holds: {listed(names, 10)}.",
                instead=(part, (meant(part, names) or ("", names[0]))[1]),
            )
        return folder / part, []
    return only_file(folder)


def only_file(folder: Path) -> tuple[Path, list[str]]:
    """The one file of data in a folder and its subfolders, and those about it; else the folder, or what is below it."""
    names = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
    data = [name for name in names if not _ABOUT.fullmatch(name.name)]
    if len(data) == 1:
        return folder / data[0], [name.as_posix() for name in names if name != data[0]]
    while (
        len(inner := [entry for entry in folder.iterdir() if not entry.name.startswith(".")]) == 1 and inner[0].is_dir()
    ):
        folder = inner[0]
    return folder, []


def holds_media(folder: Path) -> bool:
    """Whether more than half of the files of data in a folder and below it are sound, video, music or pictures."""
    names = [file.name for file in folder.rglob("*") if file.is_file() and not _ABOUT.fullmatch(file.name)]
    return 2 * sum(kind_of_file(name) is not None for name in names) > len(names)
