"""Draw `comparison.json` files of `ostinato compare` as one SVG for the docs: a dot a run, a bar the mean of a model.

python benchmarks/plot_comparison.py OUT.svg "nats a frame" "a title=runs/a/comparison.json" "another=runs/b/…"
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt


def main(out: str, label: str, *parts: str) -> None:
    """Write `out`; each part is `title=path`."""
    matplotlib.rcParams.update({"svg.hashsalt": "ostinato", "font.family": "sans-serif", "font.size": 9})
    found = [(title, json.loads(Path(path).read_text())) for title, _, path in (part.partition("=") for part in parts)]
    widths = [len(one["variants"]) for _, one in found]
    figure, axes = plt.subplots(
        1, len(found), figsize=(2 + 0.75 * sum(widths), 3), squeeze=False, width_ratios=widths, layout="constrained"
    )
    for axis, (title, one) in zip(axes[0], found, strict=True):
        for place, variant in enumerate(one["variants"]):
            axis.plot([place] * len(variant["runs"]), [run["quality"] for run in variant["runs"]], "o", alpha=0.6, ms=4)
            axis.plot([place - 0.25, place + 0.25], [variant["mean"]] * 2, color="black", lw=1.5)
        names = [variant["name"].replace("embedding_dim=", "") for variant in one["variants"]]
        axis.set_xticks(range(len(names)), names, rotation=30 if max(map(len, names)) > 6 else 0)
        axis.set_xlim(-0.6, len(names) - 0.4)
        axis.set_title(title, fontsize=9)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].set_ylabel(label)
    figure.savefig(out, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
