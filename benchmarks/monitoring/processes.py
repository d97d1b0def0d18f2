"""How much sooner two processes are done than one, and how much sooner they could be on this machine.

    python benchmarks/monitoring/processes.py [ROUNDS] [ROWS]

Three things in turns, each a whole run from its start to its end, for a baseline of a CSV and for captures to verdict:
one process; two; and two runs of one process each, side by side, which share nothing. These do twice the work of one,
so twice one's time by theirs is the most that two processes can gain here. Medians of the rounds.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).resolve().parent))
import speed


def main() -> int:
    """Measure, and print one line for each work."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 7
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder = speed.CACHE / str(rows)
    speed.make(folder, rows)
    ours = [sys.executable, "-m", "farero_monitor"]
    with TemporaryDirectory() as made:
        outs = [str(Path(made) / name) for name in "ab"]
        take = [*ours, "baseline", str(folder / "base.csv"), "-o"]
        took([*take, str(folder / "baseline")])
        speed.with_prediction(folder)
        watch = [*ours, "run", str(folder / "capture"), "-b", str(folder / "baseline-p"), "-o"]
        print(f"{'':24}{'one, s':>8}{'two, s':>8}{'x':>7}{'at most':>9}")
        for work, command in (("baseline, CSV", take), ("capture to verdict", watch)):
            alone = [[*command, out, "--workers", "1"] for out in outs]
            found = [
                (took(alone[0]), took([*command, outs[0], "--workers", "2"]), took(*alone))
                for _ in range(rounds)
            ]
            one, two, both = (statistics.median(times) for times in zip(*found, strict=True))
            print(f"{work:24}{one:8.2f}{two:8.2f}{one / two:7.2f}{2 * one / both:9.2f}", flush=True)
    return 0


def took(*commands: list[str]) -> float:
    """Run commands side by side; return the seconds until the last has ended. Raises SubprocessError if one fails."""
    began = time.perf_counter()
    running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for command in commands]
    codes = [one.wait() for one in running]
    seconds = time.perf_counter() - began
    if {*codes} - {0, 1}:  # 1 says that it found something
        raise subprocess.SubprocessError(f"{commands} ended with {codes}")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
