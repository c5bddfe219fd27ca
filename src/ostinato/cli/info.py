"""`ostinato info`."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ostinato import __version__
from ostinato.cli.console import print_json, stdout
from ostinato.cli.tables import print_table, table

if TYPE_CHECKING:
    from ostinato.cells import Cell


def info(json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """Show versions, hardware, backends, cells and readers."""
    found = collect()
    if json:
        print_json(found)
        return
    facts = table("", "")
    facts.show_header = False
    for key in ("ostinato", "python", "torch", "polars", "processor", "threads", "gpu", "data"):
        facts.add_row(key, str(found[key]))
    print_table(facts)
    stdout.print()
    backends = table("backend", "can run here")
    for name, reason in found["backends"].items():
        backends.add_row(name, "yes" if reason is None else f"no: {reason}")
    print_table(backends)
    stdout.print()
    more = table("", "")
    more.show_header = False
    native = found["native"]
    if native["target"]:
        sets = ", ".join(name if here else f"{name} (not here)" for name, here in native["targets"].items())
        bf16 = "yes" if native["bf16"] else "no"
        more.add_row("native core", f"{native['target']} of {sets}; bf16 products: {bf16}; runs in {native['threads']}")
    for key in ("readers", "features", "recipes"):
        more.add_row(key, ", ".join(found[key]))
    print_table(more)
    stdout.print()
    cells = table("cell", "is", "runs with", "has no")
    for name, facts_of in found["cells"].items():
        cells.add_row(name, facts_of["title"], ", ".join(facts_of["backends"]), ", ".join(facts_of["undefined"]))
    print_table(cells)


def collect() -> dict[str, Any]:
    """What `info` prints."""
    import polars
    import torch

    from ostinato import cells
    from ostinato.data.features import FEATURES
    from ostinato.data.readers.registry import READERS
    from ostinato.kernels import dispatch, native
    from ostinato.recipe import ready_recipes

    return {
        "ostinato": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "polars": polars.__version__,
        "processor": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "data": os.environ.get("OSTINATO_DATA") or "OSTINATO_DATA is not set",
        "backends": dispatch.available(),
        "native": {
            "target": native.target(),
            "targets": native.targets(),
            "bf16": native.has_bf16(),
            "threads": native.threads_of(),
        },
        "cells": {name: _facts(cells.get(name)) for name in cells.names()},
        "readers": list(READERS),
        "features": list(FEATURES),
        "recipes": list(ready_recipes()),
    }


def _facts(cell: Cell) -> dict[str, Any]:
    from ostinato.kernels import dispatch

    able = [name for name, reason in dispatch.available(cell).items() if reason is None]
    return {"title": cell.title or cell.name, "backends": able, "undefined": list(cell.undefined_options())}
