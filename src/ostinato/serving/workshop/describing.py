"""What a file holds, and what would be trained on it: the same inference as of `ostinato train`."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from ostinato.data.describe import describe
from ostinato.errors import OstinatoError, RecipeError, UndecidedError
from ostinato.recipe import described
from ostinato.recipe.migrate import renamed
from ostinato.recipe.sections import noun
from ostinato.serving.problems import problem_of
from ostinato.tasks.prepare import inferred
from ostinato.wording import command, with_article

_MOST_COLUMNS = 60
_GROUPS = ("model.", "training.", "features.", "data.")
_FILES = ("data.train", "data.validation", "data.test")
"""What the page may not set: it names files of this machine."""


@dataclass(frozen=True)
class Choice:
    """What a person leaves open, or says.

    Args:
        input, target: columns; None: to be inferred.
        task: of a recipe; None: to be inferred.
        minutes: of training; None: as the plan says.
        settings: further keys of the recipe.
    """

    input: str | None = None
    target: str | None = None
    task: str | None = None
    minutes: float | None = None
    settings: tuple[str, ...] = field(default=())

    @property
    def is_open(self) -> bool:
        """Whether nothing is said of columns and task."""
        return self.input is None and self.target is None and self.task is None

    def said(self) -> dict[str, Any]:
        """What is not open."""
        found = {"input": self.input, "target": self.target, "task": self.task, "minutes": self.minutes}
        return {**{key: value for key, value in found.items() if value is not None}, "settings": list(self.settings)}

    def words(self) -> list[str]:
        """As options of `ostinato train`.

        Raises:
            RecipeError: for a setting that the page may not make.
        """
        for one in self.settings:
            key = renamed(one.partition("=")[0].strip(), None)[0]
            if not key.startswith(_GROUPS) or key in _FILES:
                raise RecipeError(
                    "`settings` must be keys of model, training, features or data that name no file. "
                    f"Received: {key[:80]!r}.",
                    hint="model.hidden_size=128",
                )
        named = [("--input", self.input), ("--target", self.target)]
        given = [word for name, value in named if value is not None for word in (name, value)]
        task = [] if self.task is None else [f"model.task={self.task}"]
        given += [word for one in [*task, *self.settings] for word in ("--set", one)]
        return given if self.minutes is None else [*given, "--minutes", f"{self.minutes:g}"]


def described_file(path: Path, choice: Choice) -> dict[str, Any]:
    """Format, rows and columns of a file, the task and its columns with the reasons, and what stands against it.

    Raises:
        OstinatoError: for a file that can't be read at all, or a setting that may not be made.
    """
    found = dict(_described(str(path), path.stat().st_mtime_ns, _reading(choice)))
    notes, problem, recipe = list[str](), None, None
    try:
        try:
            recipe = _inferred(path, choice, notes)
        except UndecidedError as error:
            if not choice.is_open or not error.choices:
                raise
            choice = _likely(error.choices[0], choice)
            notes = ["columns: those that are likeliest to be meant, since the file says no more"]
            recipe = _inferred(path, choice, notes)
    except OstinatoError as error:
        said = problem_of(error)
        problem = {key: _short(value, path) if isinstance(value, str) else value for key, value in said.items()}
    return {
        **found,
        "path": str(path),
        "notes": list(dict.fromkeys([*found["notes"], *notes])),
        "problem": problem,
        "num_empty": _num_empty(found, recipe),
        "task": None if recipe is None else recipe.model.task,
        "noun": None if recipe is None else with_article(noun(recipe.model.task)),
        "input": choice.input if recipe is None else recipe.data.input,
        "target": choice.target if recipe is None else recipe.data.target,
        "choice": choice.said(),
        "command": command("train", str(path), *choice.words()),
    }


def _num_empty(found: dict[str, Any], recipe: Any) -> int:
    """How many rows, at least, lack a value that each must have."""
    if recipe is None or recipe.model.rows != "independent":
        return 0
    read = {recipe.data.input, recipe.data.target, *recipe.data.extra}
    return max((found["rows"] - one["values"] for one in found["columns"] if one["name"] in read), default=0)


def _short(text: str, path: Path) -> str:
    return text.replace(str(path), path.name)


def _inferred(path: Path, choice: Choice, notes: list[str]) -> Any:
    task = [] if choice.task is None else [f"model.task={choice.task}"]
    recipe = described(str(path), input=choice.input, target=choice.target, settings=[*task, *choice.settings])
    return inferred(recipe, notes.append)


def _reading(choice: Choice) -> tuple[str, ...]:
    choice.words()
    return tuple(one for one in choice.settings if one.startswith("data."))


def _likely(words: list[str], choice: Choice) -> Choice:
    """The choice that a command makes."""
    pairs = list(zip(words[::2], words[1::2], strict=True))
    named, settings = dict(pairs), [value for name, value in pairs if name == "--set"]
    task = next((one.partition("=")[2] for one in settings if one.startswith("model.task=")), None)
    rest = tuple(one for one in settings if not one.startswith("model.task="))
    return Choice(named.get("--input"), named.get("--target"), task, choice.minutes, (*choice.settings, *rest))


@lru_cache(maxsize=16)
def _described(path: str, _: int, settings: tuple[str, ...]) -> dict[str, Any]:
    notes = list[str]()
    found = describe(path, notes.append, settings)
    num_columns = len(found["columns"])
    bad = [_short(row, Path(path)) for row in found["bad_rows"]]
    columns = found["columns"][:_MOST_COLUMNS]
    return {**found, "columns": columns, "num_columns": num_columns, "notes": notes, "bad_rows": bad}
