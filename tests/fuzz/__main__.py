"""Attacks for some minutes, and says what broke: each kind of fault once, with the seed that shows it.

python -m tests.fuzz [--minutes M] [--seed N] [--only NAME]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter

from tests.fuzz.attacks import ATTACKS
from tests.fuzz.trying import attacked


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=list(ATTACKS))
    options = parser.parse_args()
    end, seed = time.monotonic() + 60 * options.minutes, options.seed
    seen: Counter[str] = Counter()
    num = 0
    while time.monotonic() < end:
        for name in [options.only] if options.only else ATTACKS:
            num += 1
            fault = attacked(name, seed)
            if fault is not None:
                seen[fault.kind] += 1
                if seen[fault.kind] == 1:
                    print(f"{name}, seed {seed}: {fault}", flush=True)
        seed += 1
    print(f"{num:,} attacks, {sum(seen.values())} faults of {len(seen)} kinds")
    for kind, times in seen.most_common():
        print(f"  {times:>5}  {kind}")
    raise SystemExit(bool(seen))


if __name__ == "__main__":
    main()
