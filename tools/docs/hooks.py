"""What the site has that no file holds: the reference, mathematics as MathML, and links from the glossary to the code.

MkDocs calls the functions named on_…; `reference_pages` writes the reference, so that it can't go stale.
"""

from __future__ import annotations

import html
import posixpath
import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from latex2mathml.converter import convert
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "ostinato"
CODE_NAME = re.compile(r"`(ostinato[\w.]*):([\w.]+)`")
_MATH = re.compile(r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)#\s]+)")
_LEFT_OUT = ("cli", "__main__")
OUTSIDE = {
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changes.md",
    "native/README.md": "project/native.md",
    **{
        f"benchmarks/reports/{path.name}": f"project/{path.name}"
        for path in sorted((ROOT / "benchmarks" / "reports").glob("*.md"))
    },
}
"""Pages of the repository that the site also shows, and where."""


def modules() -> list[str]:
    """Every public module of the package, from the files; the command line has a page of its own."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        parts = parts[:-1] if parts and parts[-1] == "__init__" else parts
        if not any(part.startswith("_") for part in parts) and (not parts or parts[0] not in _LEFT_OUT):
            names.append(".".join(("ostinato", *parts)))
    return names


def reference_pages() -> dict[str, str]:
    """A page for each package, with all its modules; and those of the command line and of recipes."""
    pages: dict[str, list[str]] = {}
    for name in modules():
        is_package = (PACKAGE.parent / name.replace(".", "/")).is_dir()
        home = name if is_package else name.rpartition(".")[0]
        pages.setdefault(home, []).append(name)
    written = {f"reference/{home}.md": _page(home, names) for home, names in sorted(pages.items())}
    return {
        "reference/index.md": _index(list(written)),
        "reference/command-line.md": _commands(),
        "reference/recipe.md": _recipe(),
        **written,
    }


def _page(home: str, names: list[str]) -> str:
    return f"# {home}\n\n" + "\n".join(f"::: {name}\n" for name in names)


def _index(pages: list[str]) -> str:
    listed = "\n".join(f"- [{page[10:-3]}]({page[10:]})" for page in pages)
    return (
        "# Reference\n\nGenerated from the docstrings: every public name of every module. "
        "The [command line](command-line.md) and the keys of a [recipe](recipe.md) have pages of their own.\n\n"
        f"{listed}\n"
    )


def _commands() -> str:
    import typer

    from ostinato.cli.app import app

    parts = [
        "# Command line\n\nResults go to stdout, progress and notes to stderr. Exit codes: 0 done, 1 failed, 2 usage."
    ]
    _describe(typer.main.get_command(app), "ostinato", parts)
    return "\n\n".join(parts)


def _describe(command: Any, name: str, parts: list[str]) -> None:
    children = getattr(command, "commands", None)
    if children:
        for key, child in children.items():
            _describe(child, f"{name} {key}", parts)
        return
    context = command.make_context(name, [], resilient_parsing=True)
    records = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    rows = [f"| `{option}` | {html.escape(text, quote=False)} |".replace("\n", " ") for option, text in records]
    table = "\n".join(["| option | what it does |", "|---|---|", *rows]) if rows else ""
    usage = " ".join(command.collect_usage_pieces(context))
    parts.append(
        f"## {name}\n\n```text\n{name} {usage}\n```\n\n{html.escape(command.help or '', quote=False)}\n\n{table}"
    )


def _recipe() -> str:
    from typer.testing import CliRunner

    from ostinato import plugins
    from ostinato.cli.app import app

    # Packages of the build environment, such as the example of the tests, have no place in the reference.
    plugins.entry_points = lambda group: [one for one in entry_points(group=group) if one.value.startswith("ostinato.")]
    plugins.found.cache_clear()
    listed = CliRunner().invoke(app, ["recipe", "options"], catch_exceptions=False).output
    return "# Recipe\n\nEvery key, as `ostinato recipe options` lists them. `--set KEY=VALUE` sets one.\n\n" + re.sub(
        r"<(?=\w)", "&lt;", listed
    )


def on_config(config: Any) -> Any:
    """Puts what is generated into the navigation, before MkDocs looks for pages that are in none."""
    for entry in config["nav"]:
        if "Reference" in entry:
            entry["Reference"] = list(reference_pages())
        if "Project" in entry:
            entry["Project"] += OUTSIDE.values()
    return config


def on_files(files: Any, *, config: Any) -> Any:
    """Adds the pages of the reference, and those of the repository's other folders."""
    outside = {path: (ROOT / source).read_text(encoding="utf-8") for source, path in OUTSIDE.items()}
    for path, content in {**reference_pages(), **outside}.items():
        files.append(File.generated(config, path, content=content))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """`package.module:name` links to the reference; links between folders of the repository stay within the site; a
    sidebar that would be empty is hidden."""
    here = page.file.src_uri
    if page.parent is None:  # a tab of its own: nothing to list on the left
        page.meta["hide"] = ["navigation"]
    elif here == "reference/recipe.md":
        page.meta["hide"] = ["toc"]
    source = next((source for source, path in OUTSIDE.items() if path == here), f"docs/{here}")
    markdown = _LINK.sub(lambda match: _within_site(match[1], source, here), markdown)
    return CODE_NAME.sub(lambda match: f"[`{match[1]}.{match[2]}`][{match[1]}.{match[2]}]", markdown)


def _within_site(link: str, source: str, here: str) -> str:
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    shown = OUTSIDE.get(target, target.removeprefix("docs/") if target.startswith("docs/") else None)
    return link if shown is None else posixpath.relpath(shown, posixpath.dirname(here) or ".")


def on_page_content(content: str, **_: Any) -> str:
    """Formulas in LaTeX as MathML, which browsers draw themselves."""
    return _MATH.sub(_mathml, content)


def _mathml(match: re.Match[str]) -> str:
    return convert(html.unescape(match[2]).strip(), display="inline" if match[1] == "(" else "block")
