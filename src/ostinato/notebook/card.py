"""A run as HTML for a notebook: self-contained, without script, legible on light and on dark."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

from ostinato.errors import MissingLibraryError
from ostinato.media.extras import library
from ostinato.recipe import Recipe
from ostinato.report.head import loss_curve, network_name, run_facts
from ostinato.storage.log import read_log
from ostinato.tasks.registry import task_of
from ostinato.tasks.report_page import REPORT_FILE

_COLOURS = "--ink:currentColor;--muted:#858d95;--line:#85858540;--blue:#4a90d9;--orange:#d9772b;--green:#3f9a68"
"""In the middle between light and dark."""
_CELL = "text-align:left;padding:.1rem 1rem .1rem 0;background:none;color:inherit;border:none"


def run_card(folder: Path, recipe: Recipe, summary: Mapping[str, Any]) -> str:
    """What a run is, what it ended with, and its learning curves where matplotlib is installed.

    Args:
        folder: the run directory.
        recipe: resolved.
        summary: of the run; empty while it is not trained.
    """
    spec = task_of(recipe)
    steps, validations = read_log(folder / "log.jsonl")
    title = f"<b>{escape(spec.noun)}: {escape(network_name(recipe))} of {recipe.model.hidden_size:,} units</b>"
    found = summary.get("validation", {})
    figures = [
        (f"validation {name.replace('_', ' ')}", f"{found[name]:.4g}{_interval(found, name)}")
        for name in ("loss", *spec.figures(recipe))
        if isinstance(found.get(name), int | float)
    ]
    facts = [("run", str(folder)), *figures, *run_facts(dict(summary), steps)]
    if not summary:
        facts.append(("training", "has not ended"))
    if (folder / REPORT_FILE).is_file():
        facts.append(("report", str(folder / REPORT_FILE)))
    rows = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;opacity:.7">{escape(name)}</th>'
        f'<td style="{_CELL}">{escape(value)}</td></tr>'
        for name, value in facts
    )
    findings = "".join(f"<li>{escape(str(one['says']))}</li>" for one in summary.get("findings", ()))
    return (
        f'<div style="{_COLOURS};color:inherit"><p>{title}</p>'
        f'<div style="display:flex;flex-wrap:wrap;gap:2rem;align-items:flex-start"><table>{rows}</table>'
        f'<div style="width:26rem;max-width:100%">{_curves(steps, validations, spec.loss_unit(recipe))}</div></div>'
        f"{f'<ul>{findings}</ul>' if findings else ''}</div>"
    )


def _interval(found: Mapping[str, Any], name: str) -> str:
    ends = (found.get("intervals") or {}).get(name)
    return f" ({ends[0]:.4g} to {ends[1]:.4g})" if ends else ""


def _curves(steps: list[dict[str, Any]], validations: list[dict[str, Any]], unit: tuple[float, str]) -> str:
    if not steps:
        return ""
    try:
        library("matplotlib", "a plot", "report")
    except MissingLibraryError:
        return ""
    return str(loss_curve(steps, validations, unit))
