"""Every number that decides whether a measurement becomes advice, each with its reason."""

from __future__ import annotations

VANISHING_STEPS = 1.5
"""A recurrence whose slowest direction falls to 1/e within this many steps is vanishing: after ten steps a thousandth
of a gradient is left. Trained networks that remember well are far above (8 to 170 steps in our runs)."""

EXPLODING_NATS_PER_STEP = 0.05
"""A change that grows by this much a step has doubled within 14 steps. Smaller positive exponents are common in trained
networks, and harmless with clipping."""

SHUT_STEPS = 1.0
"""Keeping gates are closed when even the slowest 5 % of the units keep less than 1/e (gate below 0.37) from step to
step; a gate with a bias of zero is at 0.5 and has 1.4 steps."""

FORGET_BIAS_RATIO = 10.0
"""A gate must last at least a tenth of the distance it should bridge: after ten time constants e^-10 = 5e-5 is left."""

SATURATED_SHARE = 0.9
"""Of a plain recurrence's tanh: a step that is almost everywhere flat lets almost no gradient through. Gates of trained
LSTMs are often saturated in half of their values, which is how they keep or drop a value whole."""

DEAD_SHARE = 0.25
"""With a quarter of its units dead, a layer could be a quarter smaller, and nearly half cheaper (cost goes with the
square)."""

WINDOW_FILLED = 0.9
"""Memory that ends within a tenth of where training's gradients end has likely been cut there, not by the data."""

WINDOW_UNNEEDED = 8.0
"""A window so many times longer than what is remembered could be halved twice and still leave twice the room."""

UNUSED_SHARE = 0.005
"""An unused lag must be worth half a percent of the loss: less than that, a longer window would not show."""

UNUSED_DEVIATIONS = 8.0
"""... and stand out from the other lags by this many deviations: of hundreds, with the heavy tails of natural text,
none does so by chance (the largest of 400 on text without a dependency there: 4)."""

SHORT_MEMORY_STEPS = 4.0
"""A model that looks back no further than this does what a plain recurrence, or n-grams, can do."""

LOCAL_RATIO = 5.0
"""Where the head reads every step, and the model uses so many times more context than its recurrence lasts, the head
remembers and not the recurrence."""

CLIPPED_SHARE = 0.5
"""Clipping is meant for rare jumps. Where most steps are clipped, `max_norm` has become part of the learning rate."""

LATE_SHARE = 0.5
"""Clipping is judged over the last half of the steps: at the beginning, large gradients are usual."""

CUT_SHARE = 0.05
"""Fewer rows cut than this can't move a metric by much."""

CUT_FILLED = 0.5
"""Where half of the allowed length is needed already, what was cut off is likely worth something, too."""

DRIFT_SHARE = 0.01
"""Share of the loss that a reset of the state must gain to be worth it."""

GROWTH = 1.5
"""A state this much larger at the end than at the trained length is still growing."""
