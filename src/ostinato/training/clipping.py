"""Gradient clipping."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from ostinato.recipe import TrainingRecipe


@dataclass(frozen=True)
class Clipped:
    """What clipping did to a gradient.

    norm: of all parameters together, before; threshold: what was allowed, in the units of `clip`, None where nothing
    was compared; groups: the names of what was scaled down, empty where nothing was; norms: with `clip: group`, that of
    each group.
    """

    norm: float
    threshold: float | None = None
    groups: tuple[str, ...] = ()
    norms: Mapping[str, float] = field(default_factory=dict)

    def event(self) -> dict[str, object]:
        """For the log."""
        found: dict[str, object] = {"gradient_norm": self.norm, "clipped": bool(self.groups)}
        if self.threshold is not None:
            found["clip_threshold"] = self.threshold
        if self.groups and self.groups != ("all",):
            found["clipped_groups"] = list(self.groups)
        if self.norms:
            found["group_norms"] = dict(self.norms)
        return found


class Clipper:
    r"""Clips the gradients of a model in place, as `training.clip` says, with c = `max_norm`.

    - norm: :math:`g \leftarrow g \min(1, c / \lVert g \rVert_2)` over all parameters together. Source: Pascanu,
      Mikolov, Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.
    - value: each entry into [-c, c] (Mikolov 2012, thesis, section 3.2.2).
    - group: as norm, of each group separately: the embedding, each recurrent layer, the rest.
    - adaptive: as norm, with c the `clip_quantile` of the norms of the last `clip_history` steps, this one included.
      Source: Seetharaman, Wichern, Pardo, Le Roux 2020, "AutoClip", arXiv:2007.14469, algorithm 1. Deviation: a moving
      history rather than all of it, so that the threshold follows training.
    - none: nothing.
    """

    def __init__(self, model: nn.Module, recipe: TrainingRecipe) -> None:
        self._recipe = recipe
        self._groups = parameter_groups(model)
        self.history: deque[float] = deque(maxlen=recipe.clip_history)

    def __call__(self) -> Clipped:
        """Clip; non-finite gradients are left alone and show in the norm."""
        parameters = [p for group in self._groups.values() for p in group if p.grad is not None]
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = torch.nn.utils.get_total_norm(gradients)
        norm = float(total)
        clip, limit = self._recipe.clip, self._recipe.max_norm
        if clip == "none" or not np.isfinite(norm):
            return Clipped(norm)
        if clip == "value":
            largest = max((float(g.abs().max()) for g in gradients), default=0.0)
            torch.nn.utils.clip_grad_value_(parameters, limit)
            return Clipped(norm, limit, ("all",) if largest > limit else ())
        if clip == "group":
            norms = {name: self._clip_group(name, limit) for name in self._groups}
            return Clipped(norm, limit, tuple(name for name, own in norms.items() if own > limit), norms)
        if clip == "adaptive":
            self.history.append(norm)
            limit = float(np.quantile(np.asarray(self.history), self._recipe.clip_quantile))
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, total)
        return Clipped(norm, limit, ("all",) if norm > limit else ())

    def _clip_group(self, name: str, limit: float) -> float:
        own = [p for p in self._groups[name] if p.grad is not None]
        norm = torch.nn.utils.get_total_norm([p.grad for p in own if p.grad is not None])
        torch.nn.utils.clip_grads_with_norm_(own, limit, norm)
        return float(norm)

    def tensors(self) -> dict[str, Tensor]:
        """The history, to be saved."""
        return {"history": torch.tensor(list(self.history), dtype=torch.float64)}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """The inverse of `tensors`."""
        self.history = deque(tensors["history"].tolist(), maxlen=self._recipe.clip_history)


def parameter_groups(model: nn.Module) -> dict[str, Sequence[nn.Parameter]]:
    """The parameters by the part of the model they belong to: embedding, each recurrent layer, head."""
    groups: dict[str, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault(_group(name), []).append(parameter)
    return dict(groups)


def _group(name: str) -> str:
    parts = name.split(".")
    if "embedding" in parts:
        return "embedding"
    if "layers" in parts[:-1]:
        return f"layer {int(parts[parts.index('layers') + 1]) + 1}"
    return "head"
