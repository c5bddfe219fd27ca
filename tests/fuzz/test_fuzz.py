"""A seeded sample of the attacks; `make fuzz MINUTES=30` goes on."""

from __future__ import annotations

import pytest

from tests.fuzz.trying import attacked

EACH = {"recipes": 200, "data files": 200, "runs": 100}


@pytest.mark.parametrize("name", EACH)
def test_no_attack_ends_in_a_traceback(name: str) -> None:
    faults = {fault.kind: fault for seed in range(EACH[name]) if (fault := attacked(name, seed))}
    assert not faults, "\n\n".join(f"{kind}: {fault}" for kind, fault in faults.items())
