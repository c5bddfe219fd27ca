"""The report's head (what was learnt, headline figure, facts, model table) and its learning curves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from ostinato import cells
from ostinato.arrays import Floats
from ostinato.data.dataset import Features
from ostinato.data.features import TextFeature
from ostinato.data.targets import TargetFeature
from ostinato.recipe import Recipe, TrainingRecipe
from ostinato.recipe.model import EmbeddingRecipe
from ostinato.report.data import Section

if TYPE_CHECKING:
    from markupsafe import Markup

Parts = Sequence[tuple[str, str, str]]
_NUMBERS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six"}
_MOST_NAMED = 6
_CURVES = (
    ("accuracy", "accuracy"),
    ("f1", "F1"),
    ("auc", "AUC"),
    ("r2", "R²"),
    ("exact", "exact"),
    ("token_error_rate", "token error rate"),
)
"""Validation figures that share one axis."""
_PROVENANCE = (("machine", "machine"), ("ostinato", "Ostinato"), ("torch", "PyTorch"))


def sentence(recipe: Recipe, features: Features) -> Section:
    """What was learnt, in parts that the page puts into one sentence."""
    target = features.target
    classes = list(target.classes) if isinstance(target, TargetFeature) else []
    return {
        "target_kind": target.kind if target else None,
        "input": recipe.data.input or "text",
        "extra": list(features.extra),
        "target": recipe.data.target,
        "classes": classes[:_MOST_NAMED],
        "num_classes": len(classes),
        "unit": features.input.step_noun,
        "category": recipe.model.task,
        "network": network_name(recipe),
        "data": recipe.data.train,
    }


def network_name(recipe: Recipe) -> str:
    """The network with its article: "a two-layer bidirectional GRU"."""
    model = recipe.model
    copies = getattr(model, "members", 1)
    cell = cells.get(model.cell).title or model.cell
    words = [f"{_NUMBERS.get(model.num_layers, model.num_layers)}-layer"] if model.num_layers > 1 else []
    words += ["bidirectional"] if model.bidirectional else []
    first = [*words, cell][0]
    spelled = first.isupper() and first[0] in "AEFHILMNORSX"
    article = "an" if spelled or (not first.isupper() and first[0].lower() in "aeio8") else "a"
    name = " ".join([article, *words, cell])
    return name if copies == 1 else f"the mean of {_NUMBERS.get(copies, copies)} networks, each {name}"


def run_facts(summary: Section, steps: list[Section]) -> list[tuple[str, str]]:
    """The run's summary as (name, value) pairs; short while training has not ended."""
    found: list[tuple[str, str]] = []
    if "epochs" in summary:
        found.append(("epochs", f"{summary['epochs']:,g} (best: {summary['best_epoch']})"))
        found.append(("steps", f"{summary['steps']:,}"))
        found.append(("training time", duration(summary["seconds"])))
        found.append(("ended because", summary["ended"]))
    if steps:
        speed = float(np.median([step["tokens_per_s"] for step in steps]))
        found.append(("speed", f"{speed:,.0f} tokens/s"))
    found += [(name, str(summary[key])) for key, name in _PROVENANCE if key in summary]
    if "finished" in summary:
        found.append(("finished", summary["finished"][:16].replace("T", " ") + " UTC"))
    return found


def model_table(model: nn.Module, recipe: Recipe, features: Features, parts: Parts) -> Section:
    """One row a part of the network, in order of the computation, with its number of parameters; `parts`: those after
    the recurrent layers: what they are called, what they are, and the module's name."""
    sizes: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:  # what batch normalisation remembers
            continue
        path = re.sub(r"^members\.\d+\.", "", name).split(".")
        key = (
            ".".join(path[:3])
            if path[:2] == ["encoder", "layers"]
            else ".".join(path[: 2 if path[0] == "encoder" else 1])
        )
        sizes[key] = sizes.get(key, 0) + parameter.numel()
    shape = recipe.model
    direction = ", both directions" if shape.bidirectional else ""
    projected = f", projected to {shape.proj_size:,}" if shape.proj_size else ""
    rows: list[tuple[str, str, str]] = []
    if isinstance(features.input, TextFeature) and isinstance(shape, EmbeddingRecipe):
        size = "one-hot" if shape.embedding == "one_hot" else f"× {shape.embedding_dim:,}"
        rows.append(("embedding", f"{features.text.vocab_size:,} tokens {size}", "encoder.embedding"))
    elif "encoder.embedding" in sizes:
        rows.append(("input", features.input.kind, "encoder.embedding"))
    for layer in range(shape.num_layers):
        about = f"{shape.cell}, {shape.hidden_size:,} units{projected}{direction}"
        if f"encoder.layers.{layer}" in sizes:
            rows.append((f"recurrent layer {layer + 1}", about, f"encoder.layers.{layer}"))
    rows += parts
    total = sum(sizes.values())
    listed = [{"name": name, "about": about, "parameters": sizes.pop(key, 0)} for name, about, key in rows]
    listed += [{"name": key, "about": "", "parameters": size} for key, size in sizes.items()]
    return {"rows": listed, "total": total}


def curves(
    steps: list[Section], validations: list[Section], training: TrainingRecipe, shown: tuple[float, str]
) -> Section | None:
    """The learning curves' plots; None for a run without a log. shown: what a loss is multiplied by, and its unit."""
    from ostinato.report import plots
    from ostinato.report.svg import varies

    if not steps:
        return None
    column = {key: np.asarray([s[key] for s in steps], dtype=np.float64) for key in ("step", "gradient_norm")}
    rates = np.asarray([s["learning_rate"] for s in steps], dtype=np.float64)
    scale, unit = shown
    at = np.asarray([v["step"] for v in validations], dtype=np.float64)
    norms = column["gradient_norm"]
    clipped = np.asarray([bool(s["clipped"]) for s in steps], dtype=np.float64)
    metrics = [
        (shown, np.asarray([v[key] for v in validations], dtype=np.float64))
        for key, shown in _CURVES
        if validations and all(v.get(key) is not None for v in validations)
    ]
    metrics = [(name, values) for name, values in metrics if varies(values)]
    return {
        "unit": unit,
        "loss": loss_curve(steps, validations, shown),
        "metric": plots.validation_metric(at, metrics) if metrics else None,
        "metric_names": [name for name, _ in metrics],
        "gradient": plots.gradient_norm(column["step"], norms, smoothed(norms), _thresholds(steps, training)),
        "clip": training.clip,
        "share_clipped": float(clipped.mean()),
        "clipped": plots.share_clipped(column["step"], smoothed(clipped)) if varies(clipped) else None,
        "clipped_groups": _group_shares(steps),
        "rate": plots.learning_rate(column["step"], rates) if varies(rates) else None,
        "constant_rate": f"{rates[0]:g}",
        "smoothing": training.label_smoothing,
        "validations": _validation_rows(validations, scale, _best(validations)),
    }


def loss_curve(steps: list[Section], validations: list[Section], shown: tuple[float, str]) -> Markup:
    """Loss by step, of training and of validation data. shown: what a loss is multiplied by, and its unit."""
    from ostinato.report import plots

    scale, unit = shown
    at, raw = (np.asarray([s[key] for s in steps], dtype=np.float64) for key in ("step", "loss"))
    validated, scored = (np.asarray([v[key] for v in validations], dtype=np.float64) for key in ("step", "loss"))
    raw = raw * scale
    return plots.loss(at, raw, smoothed(raw), (validated, scored * scale), _best(validations), unit)


def _best(validations: list[Section]) -> int | None:
    """The step of the last that was the best so far."""
    return max((v["step"] for v in validations if v["best"]), default=None)


def _thresholds(steps: list[Section], training: TrainingRecipe) -> Floats | None:
    """What the whole gradient's norm was compared with at each step; None where something else was compared."""
    if training.clip not in ("norm", "adaptive") or not all("clip_threshold" in s for s in steps):
        return None
    return np.asarray([s["clip_threshold"] for s in steps], dtype=np.float64)


def _group_shares(steps: list[Section]) -> list[tuple[str, float]]:
    """The share of steps at which each group was clipped, of those that ever were."""
    counts = Counter(name for step in steps for name in step.get("clipped_groups", ()))
    return [(name, count / len(steps)) for name, count in counts.most_common()]


def _validation_rows(validations: list[Section], scale: float, best: int | None) -> list[Section]:
    names = (*_CURVES, ("mae", "MAE"), ("bleu", "BLEU"))
    return [
        {
            "epoch": v["epoch"],
            "step": v["step"],
            "time": duration(v["elapsed_s"]),
            "loss": v["loss"] * scale,
            "figures": {shown: v.get(key) for key, shown in names if key in v},
            "best": v["step"] == best,
        }
        for v in validations
    ]


def smoothed(values: Floats) -> Floats:
    """Exponential moving average over about a fiftieth of the run, without a bias at the start."""
    keep = 1 - 1 / max(len(values) / 50, 1.0)
    total = weight = 0.0
    found = np.empty(len(values))
    for i, value in enumerate(values.tolist()):
        total, weight = keep * total + (1 - keep) * value, keep * weight + 1 - keep
        found[i] = total / weight
    return found


def duration(seconds: float) -> str:
    """Seconds as people say them: "42 s", "3 min 07 s", "2 h 05 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.0f} s"
    hours, rest = divmod(whole, 3600)
    return f"{hours} h {rest // 60:02} min" if hours else f"{rest // 60} min {rest % 60:02} s"
