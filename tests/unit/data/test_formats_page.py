"""The page of formats has every reader of the package and every suffix it claims."""

from __future__ import annotations

from pathlib import Path

from ostinato.data.readers.registry import READERS
from ostinato.storage.unpack import ARCHIVES

PAGE = (Path(__file__).parents[3] / "docs" / "guides" / "formats.md").read_text("utf-8")


def test_the_page_of_formats_is_complete() -> None:
    built_in = [reader for reader in READERS.values() if reader.__module__.startswith("ostinato.")]
    said = {f"`{word}`" for word in (*(reader.format for reader in built_in), *ARCHIVES)}
    said |= {f"`{suffix}`" for reader in built_in for suffix in reader.suffixes}
    assert sorted(word for word in said if word not in PAGE) == []
