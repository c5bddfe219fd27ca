"""The house in figures: how large it is, how often it asks for a kind, which files go in circles, how fast it opens.

    python tools/house.py [CHECKOUT ...] [--json] [--no-times]

A column a checkout, so that an old one may stand beside a new one; without one, the one this file lies in. The tests of
imports use the same graph.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PACKAGE = "ostinato"
LONG_FILE, LONG_FUNCTION = 300, 60
_REPEATS = 5
_SHOWN = 8
_NAMING = ("kind", "task")
_MODEL = "LanguageModel"

Graph = Mapping[str, set[str]]


@dataclass(frozen=True)
class File:
    """A file of the package.

    Args:
        name: dotted.
        path: within the package.
        tree: its syntax.
        num_lines: of text.
        imports: the files of the package that it imports, wherever in the file.
        typing_only: those that it imports for type checkers alone.
    """

    name: str
    path: Path
    tree: ast.Module
    num_lines: int
    imports: set[str] = field(default_factory=set)
    typing_only: set[str] = field(default_factory=set)

    @property
    def folder(self) -> str:
        """The folder, or file, at the top of the package."""
        return self.path.parts[0].removesuffix(".py")


def read_files(root: Path) -> dict[str, File]:
    """Every file of the package that lies in `root` (`src/ostinato`), by its dotted name, with its imports."""
    files: dict[str, File] = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        files[name] = File(name, path.relative_to(root), ast.parse(text), len(text.splitlines()))
    for file in files.values():
        _add_imports(file, file.tree, set(files), file.imports)
        file.imports.discard(file.name)
    return files


def _add_imports(file: File, node: ast.AST, known: set[str], into: set[str]) -> None:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            for inner in child.body:
                _add_imports(file, ast.Module([inner], []), known, file.typing_only)
            for inner in child.orelse:
                _add_imports(file, ast.Module([inner], []), known, into)
        elif isinstance(child, ast.Import):
            into.update(alias.name for alias in child.names if alias.name in known)
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            for alias in child.names:
                full = f"{module}.{alias.name}"
                into.update({full if full in known else module} & known)
        else:
            _add_imports(file, child, known, into)


def graph_of(files: Mapping[str, File], typing_only: bool = False) -> dict[str, set[str]]:
    """What each file imports, functions' own imports among it; those for type checkers only if asked for."""
    return {name: file.imports | (file.typing_only if typing_only else set()) for name, file in files.items()}


def circles(graph: Graph) -> list[list[str]]:
    """Files that import each other, directly or by way of others: strongly connected components of two or more
    (R. Tarjan, "Depth-First Search and Linear Graph Algorithms", 1972), each sorted, the largest first."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in sorted(graph.get(name, ())):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            at = stack.index(name)
            component, stack[at:] = stack[at:], []
            if len(component) > 1:
                found.append(sorted(component))

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return sorted(found, key=lambda circle: (-len(circle), circle))


def _functions(file: File) -> Iterator[tuple[int, str]]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.end_lineno or node.lineno) - node.lineno + 1, f"{file.path}:{node.name}"


def _calls(file: File, name: str) -> Iterator[ast.Call]:
    for node in ast.walk(file.tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            yield node


def _asks_kind(node: ast.AST) -> bool:
    """A comparison, or a `match`, with `.kind` or `.task`."""
    sides = [node.left, *node.comparators] if isinstance(node, ast.Compare) else []
    sides += [node.subject] if isinstance(node, ast.Match) else []
    return any(isinstance(side, ast.Attribute) and side.attr in _NAMING and not _is_dtype(side.value) for side in sides)


def _is_dtype(value: ast.expr) -> bool:
    """Whether it is `….dtype`, whose kind is NumPy's."""
    return isinstance(value, ast.Attribute) and value.attr == "dtype"


def _asks_model(call: ast.Call) -> bool:
    names = [node for argument in call.args[1:] for node in ast.walk(argument)]
    return any(isinstance(node, ast.Name) and node.id == _MODEL for node in names)


def measure(checkout: Path, times: bool = True) -> dict[str, object]:
    """All figures of a checkout; lists hold the worst ones first."""
    root = checkout / "src" / PACKAGE
    files = read_files(root)
    outside = [file for file in files.values() if file.folder != "tasks"]
    functions = sorted((one for file in files.values() for one in _functions(file)), reverse=True)
    by_length = sorted(((file.num_lines, str(file.path)) for file in files.values()), reverse=True)
    casts = Counter(file.folder for file in files.values() for _ in _calls(file, "cast"))
    asked = Counter({str(file.path): sum(map(_asks_kind, ast.walk(file.tree))) for file in outside})
    own = {
        name
        for name, file in files.items()
        if any(isinstance(node, ast.ClassDef) and node.name == _MODEL for node in file.tree.body)
    }
    found = circles(graph_of(files))
    figures: dict[str, object] = {
        "files": len(files),
        "lines": sum(file.num_lines for file in files.values()),
        "casts": casts.total(),
        "comparisons of kind or task outside tasks/": asked.total(),
        f"isinstance(…, {_MODEL}) outside its file": sum(
            sum(map(_asks_model, _calls(file, "isinstance"))) for name, file in files.items() if name not in own
        ),
        "circles of files": len(found),
        "files in circles": sum(map(len, found)),
        "circles, type checkers' imports too": len(circles(graph_of(files, typing_only=True))),
        "longest file": f"{by_length[0][0]} {by_length[0][1]}",
        "longest function": f"{functions[0][0]} {functions[0][1]}",
        f"files over {LONG_FILE} lines": sum(length > LONG_FILE for length, _ in by_length),
        f"functions over {LONG_FUNCTION} lines": sum(length > LONG_FUNCTION for length, _ in functions),
    }
    if times:
        figures[f"s for import {PACKAGE}"] = _seconds(checkout, "-c", f"import {PACKAGE}")
        figures[f"s for {PACKAGE} --help"] = _seconds(checkout, "-m", PACKAGE, "--help")
    return figures | {
        "casts by folder": dict(casts.most_common()),
        "comparisons by file": dict(asked.most_common(_SHOWN)),
        "the circles": [", ".join(name.removeprefix(f"{PACKAGE}.") for name in circle) for circle in found],
    }


def _seconds(checkout: Path, *arguments: str) -> float:
    """The median of some runs in processes of their own."""
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": "1"}
    taken: list[float] = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], env=environment, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 3)


def as_table(columns: Mapping[str, dict[str, object]]) -> str:
    """Markdown: a row a figure, a column a checkout; lists below."""
    names = next(iter(columns.values()))
    plain = [name for name in names if not isinstance(names[name], dict | list)]
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name in plain:
        lines.append(f"| {name} | {' | '.join(str(column.get(name, '')) for column in columns.values())} |")
    for checkout, column in columns.items():
        for name, value in column.items():
            items = [f"{key} {count}" for key, count in value.items()] if isinstance(value, dict) else value
            if isinstance(items, list):
                lines += ["", f"{checkout}, {name}:", *(f"- {item}" for item in items)]
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path(__file__).resolve().parents[1]])
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument("--no-times", action="store_true", help="leave out how fast it opens")
    given = parser.parse_args()
    columns = {path.resolve().name: measure(path, times=not given.no_times) for path in given.checkouts}
    print(json.dumps(columns, indent=2, ensure_ascii=False) if given.json else as_table(columns))


if __name__ == "__main__":
    main()
