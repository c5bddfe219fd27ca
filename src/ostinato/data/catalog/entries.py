"""The catalogue: what `entries.toml` beside this file says of each data set."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

from ostinato.data.catalog.convert import fight_clips
from ostinato.data.catalog.entry import DataSet
from ostinato.data.catalog.unpack import unpack_imdb, unpack_nothing

_STEPS: dict[str, Callable[[Path, Path], None]] = {
    step.__name__: step for step in (unpack_imdb, unpack_nothing, fight_clips)
}


def _data_set(name: str, facts: dict[str, Any]) -> DataSet:
    steps = {key: _STEPS[facts[key]] for key in ("unpack", "convert") if key in facts}
    splits = {split: tuple(files) for split, files in facts["splits"].items()}
    return DataSet(name, **(facts | steps | {"splits": splits}))


_FACTS = tomllib.loads(resources.files("ostinato.data.catalog").joinpath("entries.toml").read_text(encoding="utf-8"))
CATALOG: dict[str, DataSet] = {name: _data_set(name, facts) for name, facts in _FACTS.items()}
