"""`ostinato data list | fetch | describe | sample`."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Annotated, Any

import typer

from ostinato.cli.console import note, print_json, print_text, stdout
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Reading
from ostinato.errors import DataError
from ostinato.wording import meant

_FIRST, _LAST = 30, 10
"""Columns of a table that are shown of very many."""
app = typer.Typer(help="The catalogue of data sets, and descriptions of files.", no_args_is_help=True)


@app.command("list")
def list_data(json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False) -> None:
    """List the data sets of the catalogue.

    With origin, licence, citation, and where each is on this machine.
    """
    from ostinato.data.catalog import CATALOG, locate

    found: list[dict[str, Any]] = []
    for entry in CATALOG.values():
        here = {split: path for split in entry.splits if (path := locate(entry, split)) is not None}
        found.append(
            {
                "name": entry.name,
                "title": entry.title,
                "description": entry.description,
                "splits": list(entry.splits),
                "licence": entry.licence,
                "citation": entry.citation,
                "origin": entry.url,
                "checksum": entry.checksum,
                "here": {split: str(path) for split, path in here.items()},
            }
        )
    if json:
        print_json(found)
        return
    for entry_found in found:
        stdout.print(entry_found["name"], style="bold")
        facts = table("", "")
        for key in ("title", "description", "splits", "licence", "citation", "origin"):
            value = entry_found[key]
            facts.add_row(f"  {key}", ", ".join(value) if isinstance(value, list) else value)
        where = entry_found["here"]
        facts.add_row(
            "  here", "\n".join(where.values()) if where else "no: `ostinato data fetch " + entry_found["name"] + "`"
        )
        facts.show_header = False
        print_table(facts)


@app.command()
def fetch(name: Annotated[str, typer.Argument(help="A name of the catalogue, or NAME:SPLIT.")]) -> None:
    """Fetch a data set, check it, and print its paths.

    It is taken from OSTINATO_DATA if it is there.
    """
    from ostinato.data.catalog import find, lookup

    short, _, split = name.partition(":")
    for one in [split] if split else list(lookup(short).splits):
        print_text(str(find(short, one, note)))


@app.command()
def describe(
    data: Annotated[str, typer.Argument(metavar="FILE", help="A file, a folder, or a name of the catalogue.")],
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Describe a file: format, encoding, rows, and each column.

    Reads all of it, a block at a time.
    """
    from ostinato.data.describe import describe as describe_source
    from ostinato.data.rejects import counted

    found = describe_source(data, note, settings or [])
    if json:
        print_json(found)
        return
    encoding = f" · {found['encoding']}" if found["encoding"] else ""
    stdout.print(f"{found['path']}: {found['format']}{encoding} · {counted(found['rows'], 'row')}", markup=False)
    columns = table("column", "values", "distinct", "mean length", "longest", "for example")
    shown = found["columns"]
    if len(shown) > _FIRST + _LAST:
        between = {"name": f"… {len(shown) - _FIRST - _LAST:,} more columns: --json"}
        shown = [*shown[:_FIRST], between, *shown[-_LAST:]]
    for column in shown:
        if len(column) == 1:
            columns.add_row(column["name"])
            continue
        columns.add_row(
            column["name"],
            f"{column['values']:,}",
            column["distinct"],
            f"{column['mean_characters']:,.0f}",
            f"{column['longest']:,} {column['of']}",
            column["example"],
        )
    print_table(columns)
    for problem in found["bad_rows"]:
        note(f"can't be used: {problem}")


@app.command()
def sample(
    name: Annotated[
        str | None, typer.Argument(help="names.csv, reviews.csv or sensors.csv; without a name, lists what they hold.")
    ] = None,
) -> None:
    """Write a sample file of the package into this folder."""
    samples = resources.files("ostinato.data") / "samples"
    if name is None:
        print_text((samples / "README.txt").read_text(encoding="utf-8"), end="")
        return
    names = sorted(entry.name for entry in samples.iterdir() if entry.name.endswith(".csv"))
    if name not in names:
        near = meant(name, names) or (name, names[0])
        raise DataError(f"there is no sample `{name}`. There are {', '.join(names)}.", instead=near)
    content = (samples / name).read_bytes()
    path = Path(name)
    if path.exists() and path.read_bytes() != content:
        raise DataError(f"`{name}` already exists, with other content.", hint="move it, or change to another folder")
    path.write_bytes(content)
    num_rows = content.count(b"\n") - 1
    note(f"wrote {name}, {num_rows:,} rows")
