"""The command line that was typed, and a hint made of it: a setting becomes the whole command with that setting."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ostinato.errors import OstinatoError
from ostinato.recipe.migrate import renamed

_WORD = r"""(?:'[^']*'|"[^"]*"|[;,](?=\S)|[^\s'";,(])+"""
_COMMAND = re.compile(rf"(?<![\w`'/-])(?:ostinato|--[a-z][a-z-]*)(?: (?!or\b|and\b|then\b){_WORD})*")
"""A command or its options in a hint: up to a semicolon, comma or bracket, a line's end, or a word such as `or`."""
_OF_RECIPES = ("train", "crossvalidate", "compare")
"""Commands whose `--set` takes any key of a recipe; that of others takes how files are read."""
_AROUND = " ;,\n"


class Item(NamedTuple):
    """Words of a command line that belong together."""

    option: Any
    """As click has it; None: it is none."""
    words: tuple[str, ...]

    @property
    def key(self) -> str:
        """What a `--set` sets, by its name of today."""
        return renamed(self.words[-1].removeprefix("--set=").partition("=")[0].strip(), None)[0]


@dataclass(frozen=True)
class Typed:
    """What was typed.

    program: as it can be pasted; words: what followed; names: of the command (`data describe`); command: what runs.
    """

    program: str
    words: tuple[str, ...]
    names: tuple[str, ...]
    command: Any

    @classmethod
    def of(cls, arguments: Sequence[str], root: Any) -> Typed:
        """The command line `sys.argv`, or that of `arguments`, whose commands are below `root`."""
        command, names = root, list[str]()
        for word in arguments:
            if word in getattr(command, "commands", ()):
                command = command.commands[word]
                names.append(word)
        return cls(program(), tuple(arguments), tuple(names), command)

    def hint(self, error: OstinatoError) -> str | None:
        """The hint of an error, each command in it whole and on a line of its own."""
        hint = error.hint
        if hint is None:
            return None
        if error.instead is not None and (meant := self._instead(*error.instead)) is not None:
            return f"{hint}\n  {meant}"
        parts, at = list[tuple[str, str]](), 0
        for found in _COMMAND.finditer(hint):
            if (whole := self._whole(found[0])) is not None:
                parts.append((hint[at : found.start()].strip(_AROUND), whole))
                at = found.end()
        return _in_lines(parts, hint[at:].strip(_AROUND)) if parts else hint

    def _whole(self, text: str) -> str | None:
        """A command as it can be pasted. Of options, or of the typed command on one file: what was typed, with them;
        None where they don't belong to it."""
        program, *words = shlex.split(text)
        count = len(self.names)
        if program != "ostinato":
            words = [program, *words]
        elif words[:count] == list(self.names) and {*words[count : count + 1]} & {*self.words[count:]} - {"--resume"}:
            words = words[count:]
        else:
            return f"{self.program} {shlex.join(words)}" if words else None
        given = [
            one for one in _items(words, self._options()) if one.option is not None or one.words[0] not in self.words
        ]
        if not all(self._takes(one) or (program == "ostinato" and one.option is None) for one in given):
            return None
        kept = [
            old for old in _items(self.words, self._options()) if not any(self._replaces(new, old) for new in given)
        ]
        return f"{self.program} {shlex.join(word for item in (*kept, *given) for word in item.words)}"

    def _options(self) -> dict[str, Any]:
        return {name: one for one in self.command.params if one.param_type_name == "option" for name in one.opts}

    def _takes(self, item: Item) -> bool:
        if item.option is None or item.option.name != "settings" or self.names[-1] in _OF_RECIPES:
            return item.option is not None
        if self.names[-1] == "describe":
            return item.key.startswith("data.")
        from ostinato.data.loading import READING

        return item.key.removeprefix("data.") in READING

    def _replaces(self, new: Item, old: Item) -> bool:
        """Whether an option takes the place of one that was typed."""
        if new.option is None or new.option is not old.option:
            return False
        return new.key == old.key if new.option.name == "settings" else not new.option.multiple

    def _instead(self, wrong: str, right: str) -> str | None:
        """What was typed, with `right` in place of `wrong`; None where `wrong` does not stand there."""
        text = re.escape(wrong)
        whole = re.compile(rf"^{text}(?=\.[\w.]+=)|(?<![\w.-]){text}(?![\w-]|\.\w)")
        holding = [n for n, word in enumerate(self.words) if whole.search(word) and word not in self.names]
        if not holding:
            return None
        ends = (wrong, f"={wrong}")
        at = min(holding, key=lambda n: (self.words[n] != wrong, not self.words[n].endswith(ends)))
        changed = whole.sub(lambda _: right, self.words[at], count=1)
        return f"{self.program} {shlex.join([*self.words[:at], changed, *self.words[at + 1 :]])}"


def _items(words: Sequence[str], options: dict[str, Any]) -> Iterator[Item]:
    """Words as options with their values; what is no option is alone."""
    rest = list(words)
    while rest:
        word = rest.pop(0)
        option = options.get(word.partition("=")[0]) if word.startswith("-") else None
        alone = option is None or "=" in word or option.is_flag or not rest
        yield Item(option, (word,) if alone else (word, rest.pop(0)))


def _in_lines(parts: list[tuple[str, str]], rest: str) -> str:
    """A command alone as it is; otherwise each below what is said of it."""
    if len(parts) == 1 and not parts[0][0] and not rest:
        return parts[0][1]
    lines = list[str]()
    for said, command in parts:
        ends = "" if said.endswith((":", "?", ".")) else ":"
        lines += [f"{said}{ends}"] if said else []
        lines.append(f"  {command}")
    return "\n".join([*lines, rest] if rest else lines).lstrip()


def program() -> str:
    """How the program is called from here."""
    started = Path(sys.argv[0])
    if started.name == "__main__.py":
        python = Path(sys.executable)
        on_path = shutil.which(python.name)
        return f"{python.name if on_path and Path(on_path) == python else shlex.quote(str(python))} -m ostinato"
    on_path = shutil.which("ostinato")
    if not started.is_file() or (on_path and Path(on_path).resolve() == started.resolve()):
        return "ostinato"
    return shlex.quote(str(started))


def as_called(text: str) -> str:
    """A text whose commands call the program as it was called: `ostinato` may not be on the PATH."""
    return re.sub(r"(?m)(^|: )( *)ostinato (?=[a-z-])", lambda found: f"{found[1]}{found[2]}{program()} ", text)
