"""How long the first minutes take: start, training, deployment; each against its limit, in one run.

python benchmarks/first_minutes.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from fresh import Site

#: What is promised, in seconds: ready; Completed after the call; InService after the call.
LIMITS = {"up": 1.5, "train": 5.0, "deploy": 2.0}


def main() -> int:
    """Run the story a few times and print medians."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    times: dict[str, list[float]] = {name: [] for name in LIMITS}
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder), times)
    print(f"{'what':<8} {'median s':>9} {'limit s':>8} {'of limit':>9}")
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:<8} {median:9.2f} {LIMITS[name]:8.1f} {median / LIMITS[name]:9.2f}")
    return 0


def measure(folder: Path, times: dict[str, list[float]]) -> None:
    """Start a fresh Farero, run `farero try`, stop it; add what each step took."""
    site = Site(folder)
    began = time.monotonic()
    with site.running():
        times["up"].append(time.monotonic() - began)
        text = site.farero("try")
    for name, words in (("train", "train XGBoost"), ("deploy", "deploy with data capture")):
        line = next(line for line in text.splitlines() if line.startswith(words))
        times[name].append(float(line[len(words) :].split()[0]))


if __name__ == "__main__":
    sys.exit(main())
