"""Long-range tasks: what a recurrence remembers, measured where the answer is known."""

from ostinato.longrange.fitting import Curriculum, Outcome, Training, evaluate, fit
from ostinato.longrange.model import ModelSettings, SequenceModel, make_model
from ostinato.longrange.registry import TASKS, find
from ostinato.longrange.task import IGNORE, Batch, Task

__all__ = [
    "IGNORE",
    "TASKS",
    "Batch",
    "Curriculum",
    "ModelSettings",
    "Outcome",
    "SequenceModel",
    "Task",
    "Training",
    "evaluate",
    "find",
    "fit",
    "make_model",
]
