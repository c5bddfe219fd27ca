"""Imports point one way (DESIGN §3), and `import ostinato` loads no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from tools.house import circles, graph_of, read_files

import ostinato

ROOT = Path(ostinato.__file__).parent
FILES = read_files(ROOT)
LAYERS = [
    {"errors", "types", "packing", "arrays", "wording", "plugins", "terminal"},
    {"recipe", "storage"},
    {"media"},
    {"data", "cells"},
    {"kernels"},
    {"nn"},
    {"bptt"},
    {"layers", "heads", "metrics"},
    {"report", "baselines"},
    {"probes"},
    {"tasks"},
    {"training", "diagnostics"},
    {"exploration", "notebook", "shelf"},
    {"run", "longrange"},
    {"comparison", "crossvalidation", "export", "serving"},
    {"api"},
    {"sklearn"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PENDING: set[tuple[str, str]] = set()
"""Arrows that still run back up."""
SHARED_BY_TASKS = {"frames"}
"""Folders below tasks/ that tasks may import."""
NEVER = {("data", "cells"), ("cells", "data")}
"""Neighbours on one level that stay apart."""


def _part(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def _imported(name: str) -> set[str]:
    """The parts of the package that a file imports, wherever in the file, for type checkers alone among them."""
    file = FILES[name]
    return {_part(other) for other in file.imports | file.typing_only} - {""}


@pytest.mark.parametrize("name", [name for name in FILES if _part(name)])
def test_imports_point_one_way(name: str) -> None:
    part = "cli" if _part(name) == "__main__" else _part(name)  # python -m ostinato
    assert part in LEVEL, f"`{part}` has no place in the order of imports (DESIGN §3)"
    for other in _imported(name) & set(LEVEL):
        if other != part and (part, other) not in PENDING:
            assert LEVEL[other] <= LEVEL[part], f"{part} must not import {other}"
            assert (part, other) not in NEVER, f"{part} must not import {other}"


def test_no_import_is_relative() -> None:
    for file in FILES.values():
        levels = [node.level for node in ast.walk(file.tree) if isinstance(node, ast.ImportFrom)]
        assert not any(levels), f"{file.path}: a relative import"


def test_nothing_imports_the_command_line_and_data_no_models() -> None:
    for name in FILES:
        imported = _imported(name)
        assert _part(name) in ("", "cli", "__main__") or "cli" not in imported
        assert _part(name) != "data" or not imported & {"tasks", "nn", "cells", "kernels", "training"}


def test_files_go_in_no_circle() -> None:
    """Functions' own imports among them; those for type checkers alone don't count."""
    found = [", ".join(circle) for circle in circles(graph_of(FILES))]
    assert not found, f"files that import each other: {'; '.join(found)}"


def test_tasks_do_not_import_each_other() -> None:
    for name, file in FILES.items():
        own = _task(name)
        others = {_task(other) for other in file.imports | file.typing_only} - {own, None} - SHARED_BY_TASKS
        assert own is None or not others, f"{file.path} imports the tasks {', '.join(map(str, others))}"


def _task(name: str) -> str | None:
    """The task whose folder a file lies in."""
    parts = name.split(".")
    in_folder = len(parts) > 2 and parts[1] == "tasks" and FILES[".".join(parts[:3])].path.name == "__init__.py"
    return parts[2] if in_folder else None


def test_circles_are_found() -> None:
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": {"d"}, "f": {"a"}}
    assert circles(graph) == [["a", "b", "c"], ["d", "e"]]
    assert circles({"a": {"b"}, "b": set()}) == []


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_package_loads_no_torch() -> None:
    assert _run("import sys, ostinato; print('torch' in sys.modules)").strip() == "False"


def test_help_loads_no_torch() -> None:
    code = """
import atexit, sys
atexit.register(lambda: print("torch:", "torch" in sys.modules))
sys.argv = ["ostinato", "--help"]
from ostinato.cli import main
main()
"""
    assert _run(code).strip().endswith("torch: False")


def test_public_names_are_there() -> None:
    assert all(hasattr(ostinato, name) for name in ostinato.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        ostinato.trian  # noqa: B018
