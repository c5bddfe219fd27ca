"""The commands, one file each, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from ostinato import __version__
from ostinato.cli import (
    baselines,
    benchmark,
    compare,
    crossvalidate,
    data,
    demo,
    diagnose,
    evaluate,
    explore,
    generate,
    info,
    mcp,
    pack,
    predict,
    recipe,
    report,
    runs,
    serve,
    train,
    ui,
    verify,
)

app = typer.Typer(
    name="ostinato",
    help="Recurrent models of sequential data: from raw files to a trained, evaluated and explained model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Any command: --debug shows the traceback of an error.",
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"ostinato {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_print_version)
    ] = False,
) -> None:
    """Recurrent models of sequential data: from raw files to a trained, evaluated and explained model."""


app.command("train")(train.train)
app.command("crossvalidate")(crossvalidate.crossvalidate)
app.command("compare")(compare.compare)
app.command("baselines")(baselines.baselines)
app.command("evaluate")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("generate")(generate.generate)
app.command("diagnose")(diagnose.diagnose)
app.command("explore")(explore.explore)
app.command("verify")(verify.verify)
app.command("report")(report.report)
app.command("pack")(pack.pack)
app.command("mcp")(mcp.mcp)
app.command("serve")(serve.serve)
app.command("ui")(ui.ui)
app.command("info")(info.info)
app.command("demo")(demo.demo)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(runs.app, name="runs")
app.add_typer(data.app, name="data")
app.add_typer(recipe.app, name="recipe")
