"""Diagnoses and certificates know no task by name, and their files import each other one way."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import ostinato

ROOT = Path(ostinato.__file__).parent
PACKAGES = ("diagnostics", "probes")
TASKS = sorted(path.parent.name for path in (ROOT / "tasks").glob("*/spec.py"))
WORDS = re.compile("|".join([*TASKS, "classifier", "tagger", "forecaster", "nextstep", "languagemodel"]), re.IGNORECASE)


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).glob("*.py"))


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """All but what is there for type checkers alone."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield from _nodes(child)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_task_is_known_by_name(package: str) -> None:
    assert len(TASKS) >= 7
    for path in _files(package):
        assert not WORDS.findall(path.read_text(encoding="utf-8")), path.name


@pytest.mark.parametrize("package", PACKAGES)
def test_files_import_each_other_one_way(package: str) -> None:
    graph: dict[str, set[str]] = {}
    for path in _files(package):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        imports = [node.module or "" for node in _nodes(tree) if isinstance(node, ast.ImportFrom)]
        graph[path.stem] = {name.split(".")[2] for name in imports if name.startswith(f"ostinato.{package}.")}
    TopologicalSorter(graph).prepare()  # raises CycleError
