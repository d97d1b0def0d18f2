"""How long a baseline and a monitoring run take, beside peers on the same files, in one run.

    python benchmarks/monitoring/speed.py [ROUNDS] [ROWS]

Every figure is a whole process from its start to its end: wall seconds (the least of the rounds, which alternate) and
the peak of memory of its largest process. Peers run in environments of their own, at pinned versions:
DuckDB (one query of the same statistics), Evidently (DataSummaryPreset), pandas (what the tutorials do with captures).
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import client_envs  # noqa: E402 - found only now

client_envs.PINS |= {
    "duckdb": ("duckdb==1.4.*",),
    "evidently": ("evidently==0.7.23", "pandas<3", "pyarrow"),
    "pandas": ("pandas==3.0.*", "pyarrow"),
}
CACHE = client_envs.CACHE.parent / "benchmark-data"
CARDINALITIES = (5, 20, 50, 200, 1000, 5000)

DUCKDB = """
import duckdb, sys
source = sys.argv[1]
read = f"read_csv('{source}')" if source.endswith("csv") else f"'{source}'"
columns = duckdb.sql(f"describe select * from {read}").fetchall()
numbers = [c[0] for c in columns if c[1] in ("DOUBLE", "BIGINT")]
texts = [c[0] for c in columns if c[1] == "VARCHAR"]
shares = [i / 50 for i in range(51)]
parts = ["count(*)"]
for name in numbers:
    parts += [f'count("{name}"), avg("{name}"), stddev_pop("{name}"), min("{name}"), max("{name}")']
    parts += [f'approx_quantile("{name}", {shares})']
for name in texts:
    parts += [f'count("{name}"), approx_count_distinct("{name}"), histogram("{name}")']
duckdb.sql(f"set threads = 2")
duckdb.sql(f"select {', '.join(parts)} from {read}").fetchall()
"""
EVIDENTLY = """
import sys, pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataSummaryPreset
Report([DataSummaryPreset()]).run(Dataset.from_pandas(pd.read_csv(sys.argv[1])), None)
"""
PANDAS = """
import io, sys, pandas as pd
frame = pd.read_json(sys.argv[1], lines=True)
data = frame["captureData"]
rows = data.map(lambda d: d["endpointOutput"]["data"] + "," + d["endpointInput"]["data"])
table = pd.read_csv(io.StringIO("\\n".join(rows)), header=None)
table.describe(include="all")
"""


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    rows = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    folder = CACHE / str(rows)
    make(folder, rows)
    csv, parquet, capture = (str(folder / name) for name in ("base.csv", "base.parquet", "capture"))
    baseline, out = str(folder / "baseline"), str(folder / "out")
    ours = [sys.executable, "-m", "farero_monitor"]
    duckdb, evidently, pandas = (
        str(client_envs.ensure(name)) for name in ("duckdb", "evidently", "pandas")
    )
    against = [*ours, "run", parquet, "-b", baseline, "-o", out]
    watch = [*ours, "run", capture, "-b", f"{baseline}-p", "-o", out]
    works = {
        "baseline, CSV": {
            "Farero": [*ours, "baseline", csv, "-o", baseline],
            "Farero, one process": [*ours, "baseline", csv, "-o", baseline, "--workers", "1"],
            "DuckDB": [duckdb, "-c", DUCKDB, csv],
            "Evidently": [evidently, "-c", EVIDENTLY, csv],
        },
        "capture to verdict": {
            "Farero": watch,
            "Farero, one process": [*watch, "--workers", "1"],
            "Farero, the same again": [*watch, "--keep"],
            "pandas": [pandas, "-c", PANDAS, str(folder / "all.jsonl")],
        },
        "drift run, Parquet": {
            "Farero": against,
            "DuckDB": [duckdb, "-c", DUCKDB, parquet],
        },
    }
    subprocess.run(works["baseline, CSV"]["Farero"], check=True, stdout=subprocess.DEVNULL)
    with_prediction(folder)
    subprocess.run([*watch, "--keep"], check=False, stdout=subprocess.DEVNULL)
    print(f"{rows:,} rows; {len(os.sched_getaffinity(0))} cores\n")
    for work, commands in works.items():
        best: dict[str, tuple[float, int]] = {}
        for index in range(rounds):
            for name, command in commands.items():
                if name in {"Evidently", "pandas"} and index:
                    continue  # minutes of waiting for a figure that is ten times as large anyway
                seconds, memory = timed(command)
                known = best.get(name, (seconds, memory))
                best[name] = (min(known[0], seconds), max(known[1], memory))
        print(f"{work:24}{'s':>9}{'MB':>8}{'rows/s':>13}{'x Farero':>10}")
        for name, (seconds, memory) in best.items():
            ratio = seconds / best["Farero"][0]
            print(
                f"  {name:22}{seconds:9.2f}{memory:8}{rows / seconds:13,.0f}{ratio:10.2f}",
                flush=True,
            )
        print()
    return 0


def timed(command: list[str]) -> tuple[float, int]:
    """Return seconds and the peak of memory in MB of a command's largest process."""
    probe = (
        "import resource, subprocess, sys, time\n"
        "t = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)\n"
        "print(time.perf_counter() - t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *command], check=True, stdout=subprocess.PIPE, text=True
    )
    seconds, memory = done.stdout.split()[-2:]
    return float(seconds), int(memory)


def make(folder: Path, rows: int) -> None:
    """Write the data: 14 columns of numbers, 6 of texts, missing values in four; and the same as captures."""
    if (folder / "done").exists():
        return
    (folder / "capture").mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
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
    pa.csv.write_csv(table, folder / "base.csv", pa.csv.WriteOptions(quoting_style="none"))
    pa.parquet.write_table(table, folder / "base.parquet", row_group_size=125_000)
    _captures(folder, rows)
    (folder / "done").touch()


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
