"""Train a recipe into a run directory, or resume one from its checkpoint."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ostinato import __version__
from ostinato.data.dataset import Features, Prepared
from ostinato.data.inference.applicability import saved_recipe
from ostinato.data.rejects import counted
from ostinato.errors import RecipeError, RunError
from ostinato.metrics.resampling import with_intervals
from ostinato.recipe import Recipe, dump_recipe, migrated
from ostinato.storage.files import remove_partials, sync_folder, write_atomically
from ostinato.storage.locks import FolderLock
from ostinato.storage.log import read_log
from ostinato.tasks.findings import Trained
from ostinato.tasks.memory import check_memory
from ostinato.tasks.monitors import check_monitor
from ostinato.tasks.prepare import prepare
from ostinato.tasks.registry import task_of
from ostinato.tasks.report_page import REPORT_FILE
from ostinato.tasks.training import TrainingTask, training_of
from ostinato.training.checkpoint import Checkpoint, read_checkpoint
from ostinato.training.denormals import flushed_denormals
from ostinato.training.loop import Trainer
from ostinato.training.places import moved_in, note_places
from ostinato.training.progress import Observer
from ostinato.training.refit import refit
from ostinato.training.resume import agrees, data_changes, describe_data, recipe_changes, with_features
from ostinato.training.run_folder import (
    DATA_FILE,
    DECISIONS_FILE,
    FEATURES_FILE,
    LOG_FILE,
    MODEL_FILE,
    RECIPE_FILE,
    SUMMARY_FILE,
    VALIDATED_FILE,
    checksums,
    new_run_folder,
    read_recipe_of,
    summary_of,
    taken,
)
from ostinato.training.search import Search
from ostinato.training.weights import load_tensors, load_weights
from ostinato.wording import set_options


def train_recipe(recipe: Recipe, out: Path | None, observer: Observer, given: Path | None = None) -> Path:
    """Train what a recipe describes; returns the run directory.

    Args:
        recipe: may leave open what the data says.
        out: the run directory, new or empty; none: `runs/NAME`, or `runs/NAME-2`, … if that is taken.
        observer: receives progress.
        given: a folder with tables that were given in memory, which move into the run.

    Raises:
        OstinatoError: for a recipe, data or a directory that can't be used, before anything is written.
    """
    if out is not None and out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise taken(out)
    device = set_up(recipe)
    prepared = prepare(recipe, say=observer.note)
    spec = task_of(prepared.recipe)
    size, count = prepared.recipe.training.batch_size, len(prepared.train)
    if spec.recipe.rows != "text" and size > count:
        observer.note(
            f"training.batch_size: {size:,} is more than there is to train on, {count:,}: each step reads all"
        )
    check_monitor(prepared.recipe.training.monitor, ("loss", *spec.figures(prepared.recipe, prepared.validation)))
    ready = _ready(prepared, device)  # what can't be used is told before anything is written
    search = Search.of(prepared, recipe)
    with new_run_folder(out, recipe.name) as lock:
        if given is not None:
            prepared = replace(prepared, recipe=moved_in(prepared.recipe, given, lock.folder))
        _write_head(lock.folder, prepared)
        observer.note(f"run: {lock.folder}")
        interrupted = False
        if search is not None:
            with flushed_denormals():
                found = search.run(lock.folder, observer, device)
            prepared = replace(prepared, recipe=found.recipe, notes=[*prepared.notes, found.note])
            interrupted = found.interrupted
            ready = _ready(prepared, device)
            _write_head(lock.folder, prepared)
        trainer = Trainer(prepared.recipe, *ready, lock.folder, observer, device)
        trainer.notes, trainer.origin = prepared.notes, _origin(prepared)
        if interrupted:
            trainer.checkpoint()  # to be resumed
            raise KeyboardInterrupt(str(lock.folder))
        return _run(trainer, prepared)


def _ready(prepared: Prepared, device: torch.device) -> tuple[nn.Module, TrainingTask]:
    """The model with its first weights, and how it is trained."""
    spec = task_of(prepared.recipe)
    check_memory(spec, prepared.recipe, prepared.features)
    torch.manual_seed(prepared.recipe.training.seed)
    model = spec.build(prepared.recipe, prepared.features).to(device)
    return model, training_of(spec, model, prepared, device)


def resume_run(
    folder: Path, overrides: Recipe | None, observer: Observer, *, force_recipe: bool = False, force_data: bool = False
) -> Path:
    """Resume an interrupted run from its newest checkpoint, to the same weights as if it had never stopped.

    A run that died between its last step and its summary gets the summary, without another step.

    Args:
        folder: the run directory.
        overrides: the run's recipe with other keys of the budget (`epochs`, `steps`, `max_minutes`, `patience`, …).
        observer: receives progress.
        force_recipe: other keys may differ, too, where what is saved still fits (`resume.HARMLESS`).
        force_data: the data may differ, where validation is a file of its own: it is read with the run's vocabulary
            and classes, and the epoch starts over.

    Raises:
        RunError: if the run has ended, or recipe or data differ.
        CheckpointError: if no checkpoint is whole.
        FolderInUseError: if another process trains there.
    """
    saved = read_recipe_of(folder)
    with FolderLock(folder):
        return _resume(folder, saved, overrides or saved, observer, force_recipe=force_recipe, force_data=force_data)


def _resume(
    folder: Path, saved: Recipe, recipe: Recipe, observer: Observer, *, force_recipe: bool, force_data: bool
) -> Path:
    checkpoint = read_checkpoint(folder)
    before, _ = saved_recipe(migrated(checkpoint.state["recipe"]))
    changes = recipe_changes(before, recipe, force_recipe)
    for problem in checkpoint.skipped:
        observer.note(f"a damaged checkpoint is skipped: {problem}")
    ended = checkpoint.state["position"]["ended"] if recipe == before else ""
    if ended and _is_summed_up(folder, checkpoint.state["position"]["step"]):
        raise RunError(
            f"`{folder}` has ended: {ended}.",
            hint="train longer: " + " ".join(set_options(saved.training.longer())),
        )
    device = set_up(recipe)
    remove_partials(folder)
    prepared, other_data = _prepare_again(folder, recipe, checkpoint, force_data)
    changes += other_data
    spec = task_of(prepared.recipe)
    model = spec.build(prepared.recipe, prepared.features).to(device)
    task = training_of(spec, model, prepared, device)
    trainer = Trainer(prepared.recipe, model, task, folder, observer, device)
    trainer.origin = _origin(prepared)
    trainer.restore(checkpoint)
    trainer.position.ended = ended
    if other_data:
        trainer.position.batch = 0  # which batches were left of the epoch depends on the number of rows
    if recipe.training.monitor != before.training.monitor or not agrees(_part(checkpoint.state), _part(trainer.origin)):
        trainer.forget_best()
    if checkpoint.state["machine"] != trainer.machine:
        observer.note(
            f"computed so far with {checkpoint.state['machine']}, from here on with {trainer.machine}: the last bits "
            "of the weights may differ from those of an uninterrupted run"
        )
    if not ended:  # what an earlier end left is out of date
        for name in (SUMMARY_FILE, REPORT_FILE, VALIDATED_FILE):
            (folder / name).unlink(missing_ok=True)
    if recipe != saved:
        write_atomically(folder / RECIPE_FILE, dump_recipe(prepared.recipe).encode())
    if changes:
        _note_changes(trainer, changes)
    return _run(trainer, prepared)


def _prepare_again(folder: Path, recipe: Recipe, checkpoint: Checkpoint, force: bool) -> tuple[Prepared, list[str]]:
    """The data, with the run's own features where it has changed, and what has changed in words."""
    prepared = prepare(recipe, say=lambda _: None)
    features = Features.load(folder / FEATURES_FILE)
    changes = data_changes(checkpoint.state["data"], describe_data(prepared), features, prepared.features, force)
    return (with_features(prepared, features) if changes else prepared), changes


def _note_changes(trainer: Trainer, changes: Sequence[str]) -> None:
    """Report, log and save what was forced."""
    for change in changes:
        text = f"resumed after step {trainer.position.step} although {change}"
        trainer.notes.append(text)
        trainer.observer.note(text)
        trainer.log.write("note", {"step": trainer.position.step, "note": text})
    write_atomically(trainer.folder / DATA_FILE, json.dumps(trainer.origin["data"], indent=1).encode())
    trainer.checkpoint()  # so that what was noted lasts


def _origin(prepared: Prepared) -> dict[str, Any]:
    """What every checkpoint says of where it comes from."""
    return {"recipe": prepared.recipe.model_dump(mode="json"), "data": describe_data(prepared)}


def _part(origin: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = origin["data"]["validation"]
    return found


def has_ended(folder: Path) -> bool:
    """Whether training of a run has ended and its summary is written; perhaps its report is not."""
    position = read_checkpoint(folder).state["position"]
    return bool(position["ended"]) and _is_summed_up(folder, position["step"])


def _is_summed_up(folder: Path, step: int) -> bool:
    return summary_of(folder).get("steps") == step


def _run(trainer: Trainer, prepared: Prepared) -> Path:
    with flushed_denormals():
        position = trainer.run()
    folder = trainer.folder
    if trainer.interrupted:
        raise KeyboardInterrupt(str(folder))
    trainer.halves.save(folder)
    load_weights(trainer.model, load_tensors(folder / MODEL_FILE), folder / MODEL_FILE)
    recipe, features = prepared.recipe, prepared.features
    spec, model, device = task_of(recipe), trainer.model, trainer.device
    decided = spec.decide(model, prepared, device)
    if decided is not None:
        write_atomically(folder / DECISIONS_FILE, json.dumps(decided, indent=1).encode())
    metrics = with_intervals(spec.final_metrics(model, prepared.validation, features, recipe, device))
    trained = Trained(str(folder), prepared, metrics, read_log(folder / LOG_FILE)[1], position.step)
    findings = [asdict(one) for one in spec.findings(trained)]
    with flushed_denormals():
        if refitted := refit(trainer, prepared):
            trainer.notes.append(f"refit: {refitted}")
            trainer.observer.note(trainer.notes[-1])
    summary: dict[str, Any] = {
        "ostinato": __version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {counted(torch.get_num_threads(), 'thread')}, {trainer.device.type}",
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "ended": position.ended,
        "epochs": round(position.step / trainer.task.num_batches, 2),
        "best_epoch": position.best_epoch + 1,
        "steps": position.step,
        "seconds": round(position.elapsed_s, 1),
        "num_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
        "num_rejected": prepared.num_rejected,
        "num_rollbacks": position.num_rollbacks,
        "notes": trainer.notes,
        "findings": findings,
        "validation": metrics,
        **_crossfitted(trainer, metrics),
        "sha256": checksums(folder),
    }
    write_atomically(folder / SUMMARY_FILE, json.dumps(summary, indent=1, ensure_ascii=False).encode())
    return folder


def _crossfitted(trainer: Trainer, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The watched figure without what the choice of an epoch by it gained, by its name; nothing where none was chosen,
    or that is not known."""
    name, found, best = trainer.training.monitor, trainer.halves.crossfitted, trainer.position.best
    if found is None or best is None or name not in metrics:
        return {}
    return {"crossfitted": {name: float(metrics[name]) + found - best}}


def set_up(recipe: Recipe) -> torch.device:
    """Threads, determinism and device. Raises `RecipeError` for a GPU that is not there."""
    if recipe.training.num_threads is not None:
        torch.set_num_threads(recipe.training.num_threads)
    torch.manual_seed(recipe.training.seed)
    return device_of(recipe)


def device_of(recipe: Recipe) -> torch.device:
    """Where a recipe trains on this machine. Raises `RecipeError` for a GPU that is not there."""
    wanted = recipe.training.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise RecipeError(
            f"`training.device` = {wanted}, but torch sees no GPU on this machine.", hint="--set training.device=cpu"
        )
    return torch.device(wanted)


def _write_head(folder: Path, prepared: Prepared) -> None:
    sync_folder(folder.absolute().parent)
    write_atomically(folder / RECIPE_FILE, dump_recipe(prepared.recipe).encode())
    prepared.features.save(folder / FEATURES_FILE)
    prepared.bad_rows.write(folder)
    note_places(folder, prepared.recipe)
    write_atomically(folder / DATA_FILE, json.dumps(describe_data(prepared), indent=1).encode())
