"""How long a baseline and a monitoring run take, beside peers on the same files, in one run.

    python benchmarks/monitoring/speed.py [ROUNDS] [ROWS] [baseline|capture|drift|PEER …]

Every figure is a whole process from its start to its end: wall seconds and seconds of CPU of all its processes (the
least of the rounds, which alternate), and the peak of memory of its largest process. On a machine that others use, CPU
is the one to compare. Peers (`peers.py`) run in environments of their own, at pinned versions; slow ones run once.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

sys.path.insert(0, str(Path(__file__).resolve().parent))
import peers

CACHE = peers.client_envs.CACHE.parent / "benchmark-data"
#: Peers that run once.
SLOW = {"Evidently", "whylogs", "NannyML", "TFDV", "pandas"}
CARDINALITIES = (5, 20, 50, 200, 1000, 5000)

#: Seconds after which a peer is stopped.
LIMIT = 900


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder = CACHE / str(rows)
    make(folder, rows)
    csv, parquet, capture = (str(folder / name) for name in ("base.csv", "base.parquet", "capture"))
    baseline, out = str(folder / "baseline"), str(folder / "out")
    ours = [sys.executable, "-m", "farero_monitor"]
    against = [*ours, "run", parquet, "-b", baseline, "-o", out]
    watch = [*ours, "run", capture, "-b", f"{baseline}-p", "-o", out]
    works = {
        "baseline, CSV": {
            "Farero": [*ours, "baseline", csv, "-o", baseline],
            "Farero, one process": [*ours, "baseline", csv, "-o", baseline, "--workers", "1"],
            **peers.commands(peers.BASELINES, csv),
        },
        "capture to verdict": {
            "Farero": watch,
            "Farero, one process": [*watch, "--workers", "1"],
            "Farero, the same again": [*watch, "--keep"],
            **peers.commands({"pandas": peers.PANDAS}, str(folder / "all.jsonl")),
        },
        "drift run, Parquet": {
            "Farero": against,
            **peers.commands(peers.DRIFTS, parquet, parquet),
        },
    }
    subprocess.run(works["baseline, CSV"]["Farero"], check=True, stdout=subprocess.DEVNULL)
    with_prediction(folder)
    subprocess.run([*watch, "--keep"], check=False, stdout=subprocess.DEVNULL)
    print(f"{rows:,} rows; {len(os.sched_getaffinity(0))} cores\n")
    wanted = {*sys.argv[3:]}
    parts = wanted & {"baseline", "capture", "drift"}
    wanted -= parts
    for work, commands in works.items():
        if parts and not work.startswith(tuple(parts)):
            continue
        best: dict[str, tuple[float, float, int]] = {}
        for index in range(rounds):
            for name, command in commands.items():
                if name in SLOW and index:
                    continue
                if wanted and name not in wanted and not name.startswith("Farero"):
                    continue
                try:
                    seconds, cpu, memory = timed(command)
                except (subprocess.SubprocessError, ValueError) as error:
                    if not name.startswith("Farero"):
                        print(f"  {name}: no figure, {error}", flush=True)
                        continue
                    raise
                known = best.get(name, (seconds, cpu, memory))
                best[name] = (min(known[0], seconds), min(known[1], cpu), max(known[2], memory))
        print(f"{work:24}{'s':>9}{'CPU s':>9}{'MB':>8}{'rows/s':>13}{'x Farero':>10}{'CPU':>8}")
        for name, (seconds, cpu, memory) in best.items():
            ratio, of_cpu = seconds / best["Farero"][0], cpu / best["Farero"][1]
            print(
                f"  {name:22}{seconds:9.2f}{cpu:9.2f}{memory:8}{rows / seconds:13,.0f}{ratio:10.2f}{of_cpu:8.2f}",
                flush=True,
            )
        print()
    return 0


def timed(command: list[str]) -> tuple[float, float, int]:
    """Return seconds, seconds of CPU, and the peak of memory in MB of a command's largest process.

    Raises SubprocessError or ValueError if it fails, or takes too long. Farero's own 1 says that it found something.
    """
    probe = (
        "import resource, subprocess, sys, time\n"
        "t = time.perf_counter()\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n"
        "took = time.perf_counter() - t\n"
        "if done.returncode not in (0, 1) or b'Traceback' in done.stderr: sys.exit(done.stderr[-500:])\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(took, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *command],
        check=False, capture_output=True, text=True, timeout=LIMIT,
    )  # fmt: skip
    if done.returncode:
        raise ValueError(done.stderr.strip()[-300:])
    seconds, cpu, memory = done.stdout.split()[-3:]
    return float(seconds), float(cpu), int(memory)


def make(folder: Path, rows: int) -> None:
    """Write the data: 14 columns of numbers, 6 of texts, missing values in four; and the same as captures."""
    if (folder / "done").exists():
        return
    (folder / "capture").mkdir(parents=True, exist_ok=True)
    table = made(np.random.default_rng(1), rows)
    pa.csv.write_csv(table, folder / "base.csv", pa.csv.WriteOptions(quoting_style="none"))
    pa.parquet.write_table(table, folder / "base.parquet", row_group_size=125_000)
    _captures(folder, rows)
    (folder / "done").touch()


def made(rng: np.random.Generator, rows: int) -> pa.Table:
    """Return so many rows of such data."""
    data = {f"n{i}": rng.normal(size=rows).round(5) for i in range(8)}
    data |= {f"l{i}": np.exp(rng.normal(size=rows)).round(5) for i in range(4)}
    data |= {f"p{i}": rng.poisson(5, size=rows) for i in range(2)}
    for index, different in enumerate(CARDINALITIES):
        weights = 1 / np.arange(1, different + 1)
        names = np.array([f"v{number}" for number in range(different)])
        data[f"c{index}"] = names[rng.choice(different, p=weights / weights.sum(), size=rows)]
    table = pa.table(data)
    for name in ("n1", "l2", "p1", "c3"):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(data[name], mask=rng.random(rows) < 0.02))
    return table


def _captures(folder: Path, rows: int) -> None:
    """Write sixty files of a minute each, and one of them all for who reads but one."""
    draw = random.Random(1)
    half = '{{"observedContentType":"{}","mode":"{}","data":"{}","encoding":"CSV"}}'
    with (folder / "base.csv").open() as lines, (folder / "all.jsonl").open("w") as whole:
        next(lines)
        for minute in range(60):
            part = folder / "capture" / f"{minute:02}-00-000-x.jsonl"
            with part.open("w") as file:
                for index in range(rows * minute // 60, rows * (minute + 1) // 60):
                    sent = half.format("text/csv", "INPUT", next(lines).strip())
                    got = half.format("text/csv; charset=utf-8", "OUTPUT", f"{draw.random():.6f}")
                    line = (
                        f'{{"captureData":{{"endpointInput":{sent},"endpointOutput":{got}}},"eventMetadata":'
                        f'{{"eventId":"{index:032x}","inferenceTime":"2026-01-05T10:{minute:02}:{index % 60:02}Z"}},'
                        '"eventVersion":"0"}\n'
                    )
                    file.write(line)
                    whole.write(line)


def with_prediction(folder: Path) -> None:
    """Make a baseline that has the prediction as its first column, as captures do."""
    target = folder / "baseline-p"
    target.mkdir(exist_ok=True)
    for name, kind in (
        ("statistics.json", "numerical_statistics"),
        ("constraints.json", "num_constraints"),
    ):
        content = json.loads((folder / "baseline" / name).read_bytes())
        first = next(f for f in content["features"] if f["name"] == "n0")
        content["features"].insert(0, json.loads(json.dumps(first)) | {"name": "prediction"})
        assert kind in content["features"][0]
        (target / name).write_text(json.dumps(content))
    (target / "baseline.sample").write_bytes((folder / "baseline" / "baseline.sample").read_bytes())


if __name__ == "__main__":
    raise SystemExit(main())
