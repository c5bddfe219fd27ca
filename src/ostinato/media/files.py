"""Files of sound, pictures and music: which suffix is what, and how a cell that names one is opened.

A cell is a path, or `ARCHIVE#MEMBER` for a file in an archive (`storage.unpack`).
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from ostinato.errors import DataError, RunError
from ostinato.storage.unpack import is_archive, unpacked

_VIDEO = ".mp4 .m4v .avi .mov .mkv .webm .mpg .mpeg .m2v .mts .m2ts .vob .wmv .asf .flv .f4v .ogv .3gp .3g2 .dv .mjpeg"
_AUDIO = ".wav .flac .ogg .oga .opus .mp3 .aif .aiff .aifc .au .caf .m4a .m4b .aac .wma .ac3 .amr .mka .wv .ape .mp2"
MEDIA = {
    "audio": tuple(_AUDIO.split()),
    "video": (*_VIDEO.split(), ".gif"),
    "notes": (".mid", ".midi"),
    "image": (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"),
}
"""Suffixes of media files by the kind that reads them."""
PICTURES = ("PNG", "JPEG", "BMP", "WEBP", "TIFF")
"""What Pillow calls the formats of pictures: it looks for no others."""
MOST_PIXELS = 1 << 26
"""Of a picture; a larger one is a bad row."""
_KIND_OF = {suffix: kind for kind, suffixes in MEDIA.items() for suffix in suffixes}


def kind_of_file(name: str) -> str | None:
    """The kind of feature that reads a file, by its suffix; None for other files."""
    return _KIND_OF.get(PurePosixPath(name).suffix.lower())


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
