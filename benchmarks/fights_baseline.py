"""What a model of video must beat on the fights set: logistic regression on the mean frame, and on the mean absolute
difference between frames, by five folds of scenes, the same that `ostinato crossvalidate recipes/video-fights.yaml
--folds 5` holds out.

    python benchmarks/fights_baseline.py
"""

from __future__ import annotations

import warnings

import numpy as np
import polars as pl
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from ostinato.data.catalog import resolve_path
from ostinato.data.features.video import read_clip
from ostinato.data.split import split_fold
from ostinato.recipe.kinds import VideoRecipe

FOLDS, SPLIT_SEED = 5, 1
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def main() -> None:
    """Print accuracy and AUC over all rows, each scored by the fold that never saw it."""
    warnings.filterwarnings("ignore", category=FutureWarning)
    table_path = resolve_path("fights", print)
    table = pl.read_csv(table_path)
    recipe = VideoRecipe(size=(32, 32))
    clips = [read_clip(recipe, str(table_path.parent / path)) / 255.0 for path in table["path"]]
    truth = (table["label"] == "fight").to_numpy()
    frames = np.stack([clip.mean(axis=0).ravel() for clip in clips])
    motion = np.stack([np.abs(np.diff(clip, axis=0)).mean(axis=0).ravel() for clip in clips])
    inputs = {
        "mean frame": frames,
        "mean absolute difference": motion,
        "both": np.concatenate([frames, motion], axis=1),
        "mean absolute difference, one number": motion.mean(axis=1, keepdims=True),
    }
    for name, values in inputs.items():
        for strength in STRENGTHS:
            scores = np.zeros(len(truth))
            for fold in range(1, FOLDS + 1):
                train, held_out = split_fold(len(truth), fold, FOLDS, SPLIT_SEED, table["scene"])
                model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))
                scores[held_out] = model.fit(values[train], truth[train]).predict_proba(values[held_out])[:, 1]
            accuracy, auc = float(((scores > 0.5) == truth).mean()), float(roc_auc_score(truth, scores))
            print(f"{name}, C = {strength:g}: accuracy {accuracy:.4f}, AUC {auc:.4f}")


if __name__ == "__main__":
    main()
