"""`ostinato demo`: the character model of the book that comes with the package, in about two minutes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ostinato.cli.console import print_text, saying_how_to_resume, stderr
from ostinato.wording import command

_PASSAGE = 350
_PROMPT = "The island"


def demo(
    out: Annotated[Path | None, typer.Option(help="The run directory; by default runs/demo.")] = None,
    minutes: Annotated[float, typer.Option(help="How long to train.")] = 2.0,
) -> None:
    """Train a character model on a novel, and let it write."""
    from ostinato.api import train
    from ostinato.cli.typed import as_called
    from ostinato.training.progress import ConsoleObserver

    stderr.print(f"Learning to write like Jules Verne, character by character, for {minutes:g} minutes.")
    settings = {"training.max_minutes": minutes}
    with saying_how_to_resume():
        run = train(recipe="demo", settings=settings, out=out, observer=ConsoleObserver(stderr))
    for temperature in (0.5, 0.8, 1.0):
        stderr.print(f"\ntemperature {temperature}", style="bold")
        print_text(run.generate(_PROMPT, max_new_tokens=_PASSAGE, temperature=temperature, seed=1))
    bits = run.summary["validation"]["bits_per_character"]
    stderr.print(f"\n{bits:.3f} bits per character on the last tenth of the book, which it never read", markup=False)
    stderr.print("next:")
    for words in (
        ("generate", run.folder, "--prompt", "Captain Nemo", "--temperature", 0.8, "--seed", 2),
        ("diagnose", run.folder),
        ("train", "--resume", run.folder, "--set", f"training.max_minutes={2 * minutes:g}"),
    ):
        stderr.print(f"  {as_called(command(*words))}", markup=False)
    report = run.folder / "report.html"
    if report.is_file():
        print_text(f"report: {report.resolve()}")
