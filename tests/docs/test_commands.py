"""The commands of the README, the tutorial and the guides run on small data, and say what the page shows of errors.

Blocks of `sh` are commands, blocks of `console` commands after `$ ` and what they print. A command that needs a data
set which does not come with the package is parsed instead: its options and recipe keys exist.
"""

from __future__ import annotations

import contextlib
import doctest
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import typer

from ostinato.data.catalog import CATALOG
from ostinato.recipe import apply_overrides, build_recipe, read_recipe, ready_recipes
from tests.conftest import Cli
from tests.docs.conftest import ROWS, TINY

ROOT = Path(__file__).parents[2]
RUN = [ROOT / "README.md", ROOT / "docs" / "tutorial.md", *sorted((ROOT / "docs" / "guides").glob("*.md"))]
PARSED = sorted((ROOT / "docs" / "concepts").glob("*.md"))
STAND_FOR = {"RECIPE": "mine.yaml", "RUN": "runs/names", "FILE": "names.csv"}
SMALLER = {
    "train": [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")],
    "generate": ["--max-new-tokens", "5"],
    "diagnose": ["--rows", "8"],
}
LASTING = ("serve", "ui")
"""They go on until they are told to stop; tests/e2e starts them."""
ALWAYS_THE_SAME = ("wrote ", "model: ", "time: ", "channels: ")


@dataclass
class Command:
    """A command, and what the page shows that it prints."""

    words: list[str]
    shown: list[str] = field(default_factory=list)


def _commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for language, text in re.findall(r"^```(sh|console)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        for line in text.replace("\\\n", " ").splitlines():
            if language == "sh" or line.startswith("$ "):
                found.append(Command(shlex.split(line.removeprefix("$ "), comments=True)))
            elif found:
                found[-1].shown.append(line)
    return [command for command in found if command.words]


def _needs_other_data(words: list[str]) -> bool:
    """Whether it reads a data set of the catalogue: by its name, a ready recipe's, or that of such a recipe's run."""
    ready = set(ready_recipes())
    return any(word in ready or word in CATALOG or word.removeprefix("runs/") in ready - {"island"} for word in words)


def _parse(words: list[str]) -> None:
    """Its options exist, and a ready recipe takes what is set."""
    from ostinato.cli.app import app

    group = typer.main.get_command(app)
    name, *rest = words
    command = group.commands[name]  # type: ignore[attr-defined]
    while getattr(command, "commands", None):
        command, rest = command.commands[rest[0]], rest[1:]
    context = command.make_context(name, list(rest))
    settings = context.params.get("settings") or context.params.get("set") or []
    recipe = context.params.get("recipe")
    if recipe in ready_recipes():
        build_recipe(apply_overrides(read_recipe(recipe), list(settings)))


def _run(command: Command, cli: Cli) -> None:
    words = command.words[1:]
    if words[:2] == ["data", "sample"]:
        Path(words[2]).unlink()
    elif words[0] == "train" and "--resume" in words:
        words = words[:3]
    fails = any(line.startswith("error:") for line in command.shown)
    smaller = SMALLER.get(words[0], [])
    result = cli(*words, *smaller)
    said = (result.out + result.err).replace(shlex.join(["", *smaller])[2:], "")
    assert result.code == int(fails), f"{command.words}\n{said}"
    for line in command.shown:
        if fails or line.startswith(ALWAYS_THE_SAME):
            assert line in said, f"{command.words} no longer says: {line}\n{said}"
    if words[:2] == ["data", "sample"]:
        path = Path(words[2])
        path.write_text("\n".join(path.read_text("utf-8").splitlines()[: ROWS + 1]) + "\n", "utf-8")


@pytest.mark.parametrize("page", RUN, ids=lambda page: page.stem)
def test_commands_run(page: Path, world: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)  # `cli` begins in an empty folder
    for command in _commands(page):
        program, *words = (STAND_FOR.get(word, word) for word in command.words)
        if program == "make":
            assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        elif program == "head":
            assert Path(words[-1]).read_text().splitlines()[: len(command.shown)] == command.shown
        else:
            assert program == "ostinato", f"how is `{program}` to be tested?"
            if words[0] in LASTING or _needs_other_data(words):
                _parse(words)
            else:
                _run(Command([program, *words], command.shown), cli)


@pytest.mark.parametrize(
    "page", [page for page in RUN if page.stem in ("tutorial", "text", "streaming")], ids=lambda page: page.stem
)
@pytest.mark.usefixtures("world")
def test_python_of_a_page(page: Path) -> None:
    """Blocks with prompts print what they show; the others run one after the other."""
    known: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
        if not block.startswith(">>>"):
            exec(compile(block, str(page), "exec"), known)
            continue
        test = doctest.DocTestParser().get_doctest(block, known, page.name, str(page), 0)
        assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize("page", [*RUN, *PARSED], ids=lambda page: page.stem)
def test_commands_are_well_formed(page: Path) -> None:
    """Also those inside sentences."""
    for text in re.findall(r"(?<!`)`(ostinato [^`…]+)`", page.read_text("utf-8").replace("\n", " ")):
        with contextlib.suppress(typer.BadParameter):  # a sentence may leave out an argument
            _parse([STAND_FOR.get(word, word) for word in shlex.split(text)][1:])
    for command in _commands(page):
        if command.words[0] == "ostinato":
            _parse([STAND_FOR.get(word, word) for word in command.words[1:]])
