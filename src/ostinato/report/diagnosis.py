"""The report's section on the model's memory, from the run's `diagnosis.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ostinato.errors import RunError
from ostinato.report.data import Section
from ostinato.storage.files import read_json
from ostinato.wording import command

DIAGNOSIS_FILE = "diagnosis.json"


def diagnosis_section(folder: Path, steps: list[Section]) -> Section | None:
    """What the template shows: `recurrences`, one section each; None for a run that was not diagnosed.

    Args:
        folder: the run directory.
        steps: of the log: a diagnosis of earlier weights is marked as such.

    Raises:
        RunError: if `diagnosis.json` is damaged.
    """
    path = folder / DIAGNOSIS_FILE
    if not path.is_file():
        return None
    try:
        found = read_json(path)
        return {"recurrences": [_section(each, steps) for each in (found, *found.get("parts", ()))]}
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RunError(
            f"`{path}` is damaged: {type(error).__name__}: {error}.",
            hint=f"write it again: {command('diagnose', folder)}",
        ) from error


def _section(found: dict[str, Any], steps: list[Section]) -> Section:
    from markupsafe import Markup

    from ostinato.report import plots_diagnosis as plots
    from ostinato.report.svg import renamed

    training = found["training"] or {}
    clipping = training.get("clipping")
    reach, unit = training.get("reach"), training.get("unit", "step")
    horizon, layers = found["horizon"], found["activations"]
    gated = [layer for layer in layers if layer["time_constants"] is not None]
    with_gates = [layer for layer in layers if layer["gates"]]
    trained = found["drift"]["trained_steps"] if found["drift"] else None
    ahead, around = found.get("horizon_ahead"), found.get("around", False)
    name = found.get("name", "")
    section: Section = {
        **{key: found[key] for key in ("num_rows", "num_steps", "advice", "notes", "horizon", "gradient_horizon")},
        "name": name,
        "ahead": ahead,
        "around": around,
        "reads_every_step": found["reads_every_step"],
        "reach": reach,
        "unit": unit,
        "outdated": bool(clipping and steps and clipping["num_steps"] != len(steps)),
        "layers": layer_rows(found),
        "remarks": [*found.get("remarks", ()), *(layer["note"] for layer in layers if layer["note"])],
        "context": plots.context(horizon, unit, reach, "around" if around else "back"),
        "context_ahead": plots.context(ahead, unit, None, "ahead") if ahead else None,
        "norms": plots.norms_by_lag(found["gradients"], reach),
        "shares": plots.share_by_lag(found["gradients"], reach),
        "exponents": plots.exponents(found["dynamics"]) if found["dynamics"] else None,
        "constants": plots.time_constants(gated, horizon["steps"]) if gated else None,
        "saturation": plots.saturation(with_gates) if with_gates else None,
        "state": plots.state_sizes(layers, trained),
        "unused": plots.unused(found["unused"], unit, reach) if found["unused"] else None,
        "clipping": plots.clipping(clipping) if clipping else None,
    }
    return {
        key: renamed(value, name) if name and isinstance(value, Markup) else value for key, value in section.items()
    }


def layer_rows(found: dict[str, Any]) -> list[Section]:
    """One row a layer and direction: its measurements, from a diagnosis' `to_dict()`."""
    dynamics = {row["layer"]: row for row in found["dynamics"]}
    activations = {row["layer"]: row for row in found["activations"]}
    spectra = [row for row in found["spectra"] if row["block"] == "whole"]
    radius = {row["layer"]: row["spectral_radius"] for row in spectra}
    rows: list[Section] = []
    for gradients in found["gradients"]:
        name = gradients["layer"]
        moves, acts = dynamics.get(name), activations[name]
        constants = acts["time_constants"]
        rows.append(
            {
                "layer": name,
                "gradient_horizon": gradients["horizon_steps"],
                "factor": gradients["factor_per_step"],
                "exponent": moves and moves["exponents_nats_per_step"][0],
                "low": moves and moves["low"],
                "high": moves and moves["high"],
                "regime": moves and moves["regime"],
                "lasts": moves and moves["time_constant_steps"],
                "radius": radius.get(name),
                "gate": acts["keeping_gate"],
                "constants": constants and (constants[0], constants[2], constants[4]),
                "saturated": {gate["gate"]: gate["low"] + gate["high"] for gate in acts["gates"]},
                "dead": len(acts["dead_units"]),
                "units": acts["num_units"],
            }
        )
    return rows
