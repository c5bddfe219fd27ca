"""Imports point one way (DESIGN §3), and `import ostinato` loads no torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import ostinato

ROOT = Path(ostinato.__file__).parent
LAYERS = [
    {"errors", "types", "arrays"},
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
    {"run", "longrange"},
    {"comparison", "crossvalidation", "export", "serving"},
    {"api"},
    {"cli"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
PENDING: set[tuple[str, str]] = set()
"""Arrows that still run back up."""
NEVER = {("data", "cells"), ("cells", "data")}
"""Neighbours on one level that stay apart."""


def _modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if p != ROOT / "__init__.py")


def _part(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


def _imported(path: Path) -> set[str]:
    """The parts of the package that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            inner = node.module == "ostinato"
            names = [f"ostinato.{alias.name}" for alias in node.names] if inner else [node.module or ""]
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("ostinato.")}
    return found


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_one_way(path: Path) -> None:
    part = _part(path)
    if part == "__main__":  # python -m ostinato
        part = "cli"
    assert part in LEVEL, f"`{part}` has no place in the order of imports (DESIGN §3)"
    for other in _imported(path) & set(LEVEL):
        if other != part and (part, other) not in PENDING:
            assert LEVEL[other] <= LEVEL[part], f"{part} must not import {other}"
            assert (part, other) not in NEVER, f"{part} must not import {other}"


def test_nothing_imports_the_command_line_and_data_no_models() -> None:
    for path in _modules():
        imported = _imported(path)
        assert _part(path) in ("cli", "__main__") or "cli" not in imported
        assert _part(path) != "data" or not imported & {"tasks", "nn", "cells", "kernels", "training"}


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
