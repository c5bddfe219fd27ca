"""`ostinato verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ostinato.cli.console import note, print_json, print_text
from ostinato.cli.runs_given import RunFolder, check_run
from ostinato.cli.tables import print_table, table
from ostinato.cli.train import Reading

if TYPE_CHECKING:
    from ostinato.diagnostics import Certificate, Comparison

DTYPES = ("float32", "float64")
"""The columns of the table."""


def verify(
    run: RunFolder,
    data: Annotated[
        str | None, typer.Option("--data", help="A file or catalogue name; default: the run's validation rows.")
    ] = None,
    rows: Annotated[int, typer.Option("--rows", min=2, help="Rows drawn from the data.")] = 8,
    seed: Annotated[int, typer.Option("--seed", help="Seed of the draw, the cuts and the noise.")] = 0,
    settings: Reading = None,
    json: Annotated[bool, typer.Option("--json", help="Print the certificate as JSON.")] = False,
) -> None:
    """Verify that every way to run a model agrees.

    It is run padded, packed, step by step, in chunks and streamed, on every backend.

    The table shows the largest relative differences; it is saved as RUN/certificate.json. Exit code 1 if one exceeds
    its tolerance.
    """
    check_run(run, settings)
    from ostinato.run import load
    from ostinato.training.progress import ConsoleObserver

    certificate = load(run, settings or []).verify(data, num_rows=rows, seed=seed, observer=ConsoleObserver())
    if json:
        print_json(certificate.to_dict())
    else:
        _print(certificate)
    if not certificate.passed:
        raise typer.Exit(1)


def _print(certificate: Certificate) -> None:
    parts = (certificate, *certificate.parts)
    note("largest relative differences of outputs, final state, gradients")
    for part in parts:
        lengths = ", ".join(str(length) for length in sorted(part.lengths))
        print_text(f"{part.model}; rows of {lengths} steps")
        _print_table(part)
    where = [f" in {part.model.split(':')[0]}" if certificate.parts else "" for part in parts]
    remarks = [
        _remark(row, place)
        for part, place in zip(parts, where, strict=True)
        for row in part.rows
        if row.note and row.outputs is None
    ]
    for line in dict.fromkeys(remarks):
        print_text(line)
    for part, place in zip(parts, where, strict=True):
        for row in part.rows:
            if row.passed is False:
                print_text(f"FAILED: {row.form} on {row.backend} in {row.dtype}{place}: {row.note}")
    print_text(certificate.summary())


def _print_table(certificate: Certificate) -> None:
    shown = table("")
    for dtype in DTYPES:
        shown.add_column(f"{dtype}, within {certificate.tolerances[dtype]:.1e}", no_wrap=True)
    shown.add_column("", no_wrap=True)
    for heading, lines in _sections(certificate).items():
        shown.add_row(Text(heading, style="bold"))
        for form, found in lines.items():
            shown.add_row(form, *[_cell(found.get(dtype)) for dtype in DTYPES], _verdict(list(found.values())))
    print_table(shown)


def _sections(certificate: Certificate) -> dict[str, dict[str, dict[str, Comparison]]]:
    """The rows by backend, form and dtype; bfloat16 apart, in the column of float32."""
    sections: dict[str, dict[str, dict[str, Comparison]]] = {}
    for row in certificate.rows:
        if row.backend == "all" or (row.passed is None and row.outputs is None):
            continue
        apart = row.dtype not in DTYPES
        heading = f"{row.backend}, {row.dtype} within {certificate.tolerances[row.dtype]:.1e}" if apart else row.backend
        sections.setdefault(heading, {}).setdefault(row.form, {})[DTYPES[0] if apart else row.dtype] = row
    return sections


def _cell(row: Comparison | None) -> str:
    if row is None or row.outputs is None:
        return ""
    return " ".join(f"{_figure(each):<7}" for each in (row.outputs, row.final_state, row.gradients))


def _figure(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"


def _verdict(rows: list[Comparison]) -> str | Text:
    if any(row.passed is False for row in rows):
        return Text("FAILED", style="red")
    return "same" if any(row.passed for row in rows) else "baseline"


def _remark(row: Comparison, where: str) -> str:
    return f"{row.form}{where}: {row.note}" if row.backend == "all" else f"{row.backend} in {row.dtype}: {row.note}"
