"""What the shim costs at Python start when nothing of AWS is imported: starts with and without it, in turns.

`python benchmarks/shim_start.py` prints both medians in milliseconds; the promise is a difference below 5 ms.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

from farero.shim import shim_dir

ROUNDS = 60


def main() -> None:
    """Measure and print."""
    bare = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "AWS_ENDPOINT_URL")}
    hooked = {**bare, "PYTHONPATH": str(shim_dir()), "AWS_ENDPOINT_URL": "http://127.0.0.1:4747"}
    times: dict[str, list[float]] = {"without": [], "with": []}
    for _ in range(ROUNDS):
        for name, env in (("without", bare), ("with", hooked)):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", "pass"], env=env, check=True)
            times[name].append((time.perf_counter() - started) * 1000)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"without {medians['without']:.1f} ms, with {medians['with']:.1f} ms:", end=" ")
    print(f"the shim costs {medians['with'] - medians['without']:.2f} ms")


if __name__ == "__main__":
    main()
