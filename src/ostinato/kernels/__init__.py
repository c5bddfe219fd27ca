"""Backends that run a cell over time: ``reference`` is the truth, the others are faster, ``dispatch`` chooses."""
