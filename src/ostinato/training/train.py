"""From a recipe to a trained run directory, and on again from its checkpoint."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from ostinato import __version__
from ostinato.data.dataset import Examples, Prepared, prepare
from ostinato.errors import RecipeError, RunError
from ostinato.evaluation.scoring import evaluate_stream
from ostinato.models import LanguageModel, build_model
from ostinato.recipe import Recipe, build_recipe, dump_recipe, read_recipe
from ostinato.storage.files import read_json, write_atomically
from ostinato.training.checkpoint import read_checkpoint
from ostinato.training.loop import MODEL_FILE, Trainer
from ostinato.training.progress import Observer
from ostinato.training.tasks import make_task
from ostinato.training.weights import load_tensors, load_weights

RECIPE_FILE, FEATURES_FILE, SUMMARY_FILE, DATA_FILE = "recipe.yaml", "features.json", "summary.json", "data.json"


def train_recipe(recipe: Recipe, out: Path | None, observer: Observer) -> Path:
    """Train what a recipe describes; returns the run directory.

    Args:
        recipe: may leave open what the data says.
        out: the run directory, new or empty; none: `runs/NAME`, or `runs/NAME-2`, … if that is taken.
        observer: is told what happens.

    Raises:
        OstinatoError: for a recipe, data or a directory that can't be used, before anything is written.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RunError(
            f"`{out}` is there already.", hint=f"name another with --out, or go on with: ostinato train --resume {out}"
        )
    device = set_up(recipe)
    prepared = prepare(recipe, say=observer.note)
    torch.manual_seed(recipe.training.seed)
    model = build_model(prepared.recipe.model, prepared.features).to(device)
    task = make_task(model, prepared, device)
    folder = out or _free_folder(recipe.name)
    _write_head(folder, prepared)
    observer.note(f"run: {folder}")
    trainer = Trainer(prepared.recipe, model, task, folder, observer, device)
    return _run(trainer, prepared)


def resume_run(folder: Path, overrides: Recipe | None, observer: Observer) -> Path:
    """Go on with an interrupted run from its newest checkpoint, to the same weights as if it had never stopped.

    Args:
        folder: the run directory.
        overrides: the run's recipe with a larger budget (`epochs`, `max_minutes`, `patience`), to train longer.
        observer: is told what happens.
    """
    saved = read_recipe_of(folder)
    recipe = overrides or saved
    check_resumable(saved, recipe)
    checkpoint = read_checkpoint(folder)
    for problem in checkpoint.skipped:
        observer.note(f"a damaged checkpoint is passed over: {problem}")
    if checkpoint.state["position"]["ended"] and recipe == saved:
        raise RunError(
            f"`{folder}` has ended: {checkpoint.state['position']['ended']}.",
            hint="train longer with, for example, --set training.epochs=" + str(2 * saved.training.epochs),
        )
    device = set_up(recipe)
    prepared = prepare(recipe, say=lambda _: None)
    before = read_json(folder / DATA_FILE)
    if describe_data(prepared) != before:
        raise RunError(
            f"the data of `{folder}` has changed since training began: {_difference(before, describe_data(prepared))}.",
            hint="bring the old data back, or train anew",
        )
    model = build_model(prepared.recipe.model, prepared.features).to(device)
    trainer = Trainer(prepared.recipe, model, make_task(model, prepared, device), folder, observer, device)
    trainer.restore(checkpoint)
    trainer.position.ended = ""
    if recipe != saved:
        write_atomically(folder / RECIPE_FILE, dump_recipe(prepared.recipe).encode())
    return _run(trainer, prepared)


def _run(trainer: Trainer, prepared: Prepared) -> Path:
    position = trainer.run()
    folder = trainer.folder
    if trainer.interrupted:
        raise KeyboardInterrupt(str(folder))
    load_weights(trainer.model, load_tensors(folder / MODEL_FILE), folder / MODEL_FILE)
    metrics = final_metrics(trainer, prepared)
    summary: dict[str, Any] = {
        "ostinato": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {trainer.device.type}",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": position.ended,
        "epochs": round(position.step / trainer.task.num_batches, 2),
        "best_epoch": position.best_epoch + 1,
        "steps": position.step,
        "seconds": round(position.elapsed_s, 1),
        "num_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "num_rejected": prepared.num_rejected,
        "notes": prepared.notes,
        "validation": metrics,
    }
    write_atomically(folder / SUMMARY_FILE, json.dumps(summary, indent=1, ensure_ascii=False).encode())
    return folder


def final_metrics(trainer: Trainer, prepared: Prepared) -> dict[str, Any]:
    """Validation metrics of the best weights; a language model reads the whole text in one stream."""
    if isinstance(trainer.model, LanguageModel):
        values: Any = prepared.validation
        return evaluate_stream(
            trainer.model, values, prepared.features, trainer.device, prepared.recipe.training.bptt
        )
    return trainer.task.evaluate()


def set_up(recipe: Recipe) -> torch.device:
    """Threads, determinism and device. Raises `RecipeError` for a GPU that is not there."""
    if recipe.training.num_threads is not None:
        torch.set_num_threads(recipe.training.num_threads)
    torch.manual_seed(recipe.training.seed)
    wanted = recipe.training.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RecipeError(
            f"`training.device` = {wanted}, but torch sees no GPU on this machine.", hint="use auto or cpu"
        )
    return torch.device(wanted)


def describe_data(prepared: Prepared) -> dict[str, Any]:
    """Counts and checksums of the encoded data, to notice that files changed between a run and its resumption."""
    found: dict[str, Any] = {}
    for name, part in (("train", prepared.train), ("validation", prepared.validation)):
        values = part.sequences.values if isinstance(part, Examples) else part
        rows = len(part) if isinstance(part, Examples) else 1
        found[name] = {"rows": rows, "tokens": len(values), "sha256": hashlib.sha256(values.tobytes()).hexdigest()}
    return found


def read_recipe_of(folder: Path) -> Recipe:
    """The resolved recipe of a run. Raises `RunError` if the directory is no run, or its recipe is damaged."""
    check_run_folder(folder)
    path = folder / RECIPE_FILE
    try:
        recipe = build_recipe(read_recipe(path))
    except RecipeError as error:
        raise RunError(f"`{path}` is damaged: {error.message}") from error
    if recipe.model.kind == "auto":
        raise RunError(f"`{path}` is damaged: it leaves open what the model is.")
    return recipe


def check_run_folder(folder: Path) -> None:
    """Raise `RunError` unless `folder` looks like a run directory."""
    if not folder.is_dir():
        near = sorted(p.name for p in folder.parent.iterdir() if p.is_dir()) if folder.parent.is_dir() else []
        hint = f"runs in {folder.parent}: {', '.join(near[:10])}" if near else None
        raise RunError(f"no run directory `{folder}`.", hint=hint)
    missing = [name for name in (RECIPE_FILE, FEATURES_FILE) if not (folder / name).is_file()]
    if missing:
        raise RunError(f"`{folder}` is no Ostinato run: {', '.join(missing)} missing.")


def check_resumable(saved: Recipe, wanted: Recipe) -> None:
    """Raise `RunError` if the recipe differs from the saved one in anything but the budget."""
    free = {"epochs", "max_minutes", "patience", "checkpoint_minutes", "num_threads"}

    def frozen(recipe: Recipe) -> dict[str, Any]:
        dumped = recipe.model_dump(mode="json")
        dumped["training"] = {k: v for k, v in dumped["training"].items() if k not in free}
        return dumped

    before, after = frozen(saved), frozen(wanted)
    if before != after:
        raise RunError(
            f"a run can't be resumed with another recipe: {_difference(before, after)}.",
            hint=f"only {', '.join(sorted(free))} of `training` may change",
        )


def _difference(before: dict[str, Any], after: dict[str, Any], path: str = "") -> str:
    found: list[str] = []
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            inner = _difference(old, new, f"{path}{key}.")
            found.extend([inner] if inner else [])
        elif old != new:
            found.append(f"{path}{key} was {old!r}, is {new!r}")
    return ", ".join(found)


def _write_head(folder: Path, prepared: Prepared) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / RECIPE_FILE, dump_recipe(prepared.recipe).encode())
    prepared.features.save(folder / FEATURES_FILE)
    prepared.bad_rows.write(folder)
    write_atomically(folder / DATA_FILE, json.dumps(describe_data(prepared), indent=1).encode())


def _free_folder(name: str) -> Path:
    number = 1
    while True:
        folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
        number += 1
