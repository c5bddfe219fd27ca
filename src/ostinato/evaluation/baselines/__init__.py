"""Is recurrence worth it here? The simple methods that a trained model has to beat, on its own data.

A category takes part by a line in `CONTESTS` (what is compared, a `Contest`) and one in `RIVALS` (with what, each a
`Rival`): `module:Class` names, imported when they are needed.
"""

from ostinato.evaluation.baselines.found import BASELINES_FILE, Baselines
from ostinato.evaluation.baselines.measuring import compare_with_baselines
from ostinato.evaluation.baselines.registry import CONTESTS, RIVALS, has_contest

__all__ = ["BASELINES_FILE", "CONTESTS", "RIVALS", "Baselines", "compare_with_baselines", "has_contest"]
