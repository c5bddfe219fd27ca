"""`report.html`: a run in one page that needs neither network nor script: data, learning curves, results, mistakes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import nn

from ostinato.data.dataset import Features, Prepared
from ostinato.errors import MissingLibraryError, RunError
from ostinato.recipe import Recipe, dump_recipe
from ostinato.report.baselines import baselines_section
from ostinato.report.data import Section, data_card
from ostinato.report.diagnosis import diagnosis_section
from ostinato.report.head import curves, model_table, run_facts, sentence
from ostinato.storage.files import write_atomically
from ostinato.storage.log import read_log
from ostinato.tasks.language_model.model import LanguageModel
from ostinato.tasks.language_model.report import language_results
from ostinato.tasks.registry import category_of

if TYPE_CHECKING:
    import jinja2

REPORT_FILE = "report.html"
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def write_report(
    folder: Path,
    recipe: Recipe,
    features: Features,
    model: nn.Module,
    prepared: Prepared,
    device: torch.device,
) -> Path:
    """Write `report.html` into a run directory; the same run gives the same bytes.

    Args:
        folder: the run directory; its `summary.json` and `log.jsonl` are read where they are there.
        recipe: resolved.
        features: the fitted pipeline.
        model: with the weights to report on.
        prepared: the run's data, as `prepare` returns it.
        device: where the model is.

    Returns:
        the path of the page.

    Raises:
        MissingLibraryError: if matplotlib or jinja2 is not installed.
        RunError: if the summary or log is damaged.

    Example:
        >>> run = ostinato.load("runs/imdb")
        >>> write_report(run.folder, run.recipe, run.features, run.model, prepare(run.recipe), run.device)
        PosixPath('runs/imdb/report.html')
    """
    environment = page_environment()
    summary = _read_summary(folder)
    steps, validations = read_log(folder / "log.jsonl")
    page = environment.get_template("report.html.jinja").render(
        name=recipe.name,
        folder=folder.resolve().name,
        sentence=sentence(recipe, features),
        facts=run_facts(summary, steps),
        model=model_table(model, recipe, features),
        recipe=dump_recipe(recipe),
        data=data_card(prepared, summary.get("notes", [])),
        curves=curves(steps, validations, recipe),
        results=_results(model, prepared, device, summary, steps),
        diagnosis=diagnosis_section(folder, steps),
        baselines=baselines_section(folder, steps),
    )
    write_atomically(folder / REPORT_FILE, page.encode())
    return folder / REPORT_FILE


def page_environment() -> jinja2.Environment:
    """Templates and their filters. Raises `MissingLibraryError` where the extra `report` is not installed."""
    try:
        import jinja2
        import matplotlib  # noqa: F401 (the plots need it: better to say so now than halfway)
    except ImportError as error:
        raise MissingLibraryError(
            "the report needs matplotlib and jinja2, which are not installed.", hint="pip install 'ostinato[report]'"
        ) from error
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("ostinato.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {f.__name__: f for f in (percent, figure, plain, number, ticks)}
    return environment


def _results(
    model: nn.Module, prepared: Prepared, device: torch.device, summary: Section, steps: list[Section]
) -> Section:
    if not isinstance(model, LanguageModel):
        return category_of(prepared.recipe).results(model, prepared, device)
    # The summary's figures are of other weights if training went on after it was written.
    current = bool(summary) and (not steps or steps[-1]["step"] == summary.get("steps"))
    found = language_results(model, prepared, device, summary.get("validation") if current else None)
    return {**found, "template": "language.html.jinja"}


def _read_summary(folder: Path) -> Section:
    path = folder / "summary.json"
    if not path.is_file():
        return {}
    try:
        return cast("Section", json.loads(path.read_text(encoding="utf-8")))
    except ValueError as error:
        raise RunError(f"`{path}` can't be read: {error}.", hint="the run is damaged") from error


def _printable(value: Any) -> Any:
    """Characters that HTML does not allow become U+FFFD; markup made by the template engine stays as it is."""
    return _CONTROLS.sub("\ufffd", value) if type(value) is str else value


def percent(value: float | None, digits: int = 1) -> str:
    """0.123 as "12.3 %"; nothing as a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f} %"


def figure(value: float | None, digits: int = 3) -> str:
    """With thousands separators and `digits` places (large numbers fewer, tiny ones more); nothing as a dash."""
    if value is None:
        return "–"
    size = abs(value)
    written = f"{value:.{digits}g}" if 0 < size < 0.01 else f"{value:,.{digits if size < 1000 else 0}f}"
    return written.replace("-", "−")


def plain(value: float) -> str:
    """A number of the data's: whole ones without places, others as `figure`."""
    return f"{value:,.0f}".replace("-", "−") if float(value).is_integer() else figure(value)


def number(value: int | None) -> str:
    """12345 as "12,345"; nothing as a dash."""
    return "–" if value is None else f"{value:,}"


def ticks(text: str) -> str:
    """Escaped text in which `these` become code."""
    import markupsafe

    parts = _printable(text).split("`")
    if len(parts) % 2 == 0:  # an odd tick: nothing to pair it with
        return markupsafe.escape(text)
    code = markupsafe.Markup("<code>{}</code>")
    return markupsafe.Markup("").join(code.format(part) if i % 2 else part for i, part in enumerate(parts))
