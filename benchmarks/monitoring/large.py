"""What a baseline of a CSV file far larger than memory takes: seconds, and the peak of memory of its largest process.

    python benchmarks/monitoring/large.py [ROWS]

ROWS (50,000,000 by default, 6.2 GB) of the data of `speed.py` are written a million at a time, in the folder for
temporary files, and removed in the end. A first million is measured by itself: memory must not grow with rows.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import speed

CHUNK = 1_000_000


def main() -> int:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 50_000_000
    with tempfile.TemporaryDirectory(prefix="farero-large-") as name:
        file = Path(name) / "large.csv"
        command = [
            sys.executable,
            "-m",
            "farero_monitor",
            "baseline",
            str(file),
            "-o",
            f"{name}/baseline",
        ]
        for first in range(0, rows, CHUNK):
            options = pa.csv.WriteOptions(include_header=not first, quoting_style="none")
            table = speed.made(np.random.default_rng(first), min(CHUNK, rows - first))
            with file.open("ab") as out:
                pa.csv.write_csv(table, out, options)
            if not first:
                tell(CHUNK, file, command)
        tell(rows, file, command)
    return 0


def tell(rows: int, file: Path, command: list[str]) -> None:
    seconds, cpu, memory = speed.timed(command)
    size = file.stat().st_size / 1e9
    print(
        f"{rows:>11,} rows, {size:5.2f} GB: {seconds:6.1f} s, {cpu:6.1f} s of CPU, {memory} MB; "
        f"load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
