"""`report.html`: a run in one page that needs neither network nor script: data, learning curves, results, mistakes."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ostinato.data.dataset import Features, Prepared
from ostinato.recipe import Recipe, dump_recipe
from ostinato.report.baselines import baselines_section
from ostinato.report.data import data_card
from ostinato.report.diagnosis import diagnosis_section
from ostinato.report.head import curves, model_table, run_facts, sentence
from ostinato.report.page import page_environment, paths_of, without_folders
from ostinato.storage.files import read_json, write_atomically
from ostinato.storage.log import read_log
from ostinato.tasks.registry import task_of

REPORT_FILE = "report.html"


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
        >>> from ostinato.tasks.prepare import prepare
        >>> run = ostinato.load("runs/names")
        >>> write_report(run.folder, run.recipe, run.features, run.model, prepare(run.recipe), run.device).name
        'report.html'
    """
    environment = page_environment()
    spec, summary = task_of(recipe), read_json(folder / "summary.json", missing_ok=True)
    steps, validations = read_log(folder / "log.jsonl")
    # The summary's figures are of other weights if training went on after it was written.
    current = bool(summary) and (not steps or steps[-1]["step"] == summary.get("steps"))
    page = environment.get_template("report.html.jinja").render(
        name=recipe.name,
        folder=folder.resolve().name,
        sentence=sentence(recipe, features),
        facts=run_facts(summary, steps),
        model=model_table(model, recipe, features, spec.parts(model, recipe, features)),
        recipe=dump_recipe(recipe),
        findings=summary.get("findings", []) if current else [],
        data=data_card(prepared, summary.get("notes", []), spec.row_noun),
        curves=curves(steps, validations, recipe.training, spec.loss_unit(recipe)),
        results=spec.report(model, prepared, device, summary["validation"] if current else None),
        decisions=read_json(folder / "decisions.json", missing_ok=True) if current else {},
        diagnosis=diagnosis_section(folder, steps),
        baselines=baselines_section(folder, steps),
    )
    write_atomically(folder / REPORT_FILE, without_folders(page, [folder, *paths_of(recipe)]).encode())
    return folder / REPORT_FILE
