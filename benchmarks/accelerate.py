"""What `farero deploy --accelerate` gains: microseconds a row, the start of a replica and its memory, both ways.

`python benchmarks/accelerate.py [ROUNDS]`. Models: a (three classes, 4 features, 100 rounds of depth 4) and b (a
number, 20 features, 500 trees of depth 6). All ways take turns, round after round, on rows that differ from call to
call (the same rows again and again teach the processor their branches and flatter every engine); a figure is the best
of its rounds, in CPU time. `masks` and `ONNX` are leaf masks and the graph alone, before the objective's link,
`accelerated` what serves: large batches go to the Booster where that is quicker. Needs xgboost and onnxruntime.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime
import xgboost as xgb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.serving import load

from farero_container.serve.frameworks import accelerated, forest, onnx_trees
from farero_container.serve.frameworks.booster import Boosters
from farero_container.serve.frameworks.onnx_session import open_graph

ROOT = Path(__file__).resolve().parents[1]
ROWS = (1, 16, 64)


def train(name):
    random = np.random.default_rng(7)
    features, rounds, given = {
        "a": (4, 100, {"objective": "multi:softprob", "num_class": 3, "max_depth": 4}),
        "b": (20, 500, {"max_depth": 6}),
    }[name]
    rows = random.normal(size=(3000, features)).astype(np.float32)
    number = rows[:, 0] * rows[:, 1] + rows[:, 2] + random.normal(size=3000)
    labels = np.digitize(number, [-0.5, 0.5]) if name == "a" else number
    booster = xgb.train({**given, "nthread": 1}, xgb.DMatrix(rows, labels, nthread=1), rounds)
    booster.set_param({"nthread": 1})
    return booster, rows


def ways(booster, path):
    os.environ[accelerated.VARIABLE] = "onnx"
    engine = accelerated.make([path], [booster], xgb)
    print(f"batches of {engine.large} rows or more go to the Booster")
    facts, trees = forest.read(bytes(booster.save_raw("json")))
    return {
        "DMatrix": lambda rows: booster.predict(xgb.DMatrix(rows, missing=np.nan, nthread=1), validate_features=False),
        "inplace": booster.inplace_predict,
        "Farero's": Boosters(xgb, [booster]).predict,
        "masks": accelerated.Masks(facts, trees).margins,
        "ONNX": onnx_trees.Graphs(facts, trees, open_graph).margins,
        "accelerated": engine.predict,
    }  # fmt: skip


def microseconds(call, batches):
    start = time.process_time()
    for batch in batches:
        call(batch)
    return (time.process_time() - start) / len(batches) * 1e6


def measure_rows(name, rounds, folder):
    booster, rows = train(name)
    path = folder / name / "model" / "model.ubj"
    path.parent.mkdir(parents=True)
    booster.save_model(path)
    every = ways(booster, path)
    best = dict.fromkeys([(way, count) for way in every for count in ROWS], float("inf"))
    for _ in range(rounds):
        for count in ROWS:
            batches = [rows[i : i + count].copy() for i in range(0, 46 * count, count)]
            for way, call in every.items():
                best[way, count] = min(best[way, count], microseconds(call, batches))
    print(
        f"\nmodel {name}: µs of CPU a call, in brackets: that of accelerated goes into it so often"
    )
    print(f"{'rows':>6}" + "".join(f"{way:>20}" for way in every))
    for count in ROWS:
        quick = best["accelerated", count]
        cells = [f"{best[way, count]:.1f} ({best[way, count] / quick:.1f} x)" for way in every]
        print(f"{count:>6}" + "".join(f"{cell:>20}" for cell in cells))
    texts = {kind: booster.save_raw(kind) for kind in ("json", "ubj")}
    loads = {
        kind: min(microseconds(xgb.Booster().load_model, [text]) for _ in range(rounds))
        for kind, text in texts.items()
    }
    print("to load it: " + ", ".join(f"{kind} {us / 1000:.1f} ms" for kind, us in loads.items()))


class Replica:
    """One `python -m farero_container serve`; its CPU and memory once it is ready."""

    def __init__(self, base, **env):
        with (
            tempfile.TemporaryDirectory(prefix="fa-") as folder,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear,
        ):
            ear.bind(f"{folder}/n")
            start = time.monotonic()
            process = subprocess.Popen(
                [sys.executable, "-m", "farero_container", "serve"],
                env={
                    "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "SAGEMAKER_BASE_DIR": str(base),
                    "FARERO_FRAMEWORK": "xgboost", "FARERO_FRAMEWORK_VERSION": "3.0-5", "OMP_NUM_THREADS": "1",
                    "OPENBLAS_NUM_THREADS": "1", "FARERO_SOCKET": f"{folder}/s",
                    "FARERO_NOTIFY_SOCKET": f"{folder}/n", "FARERO_NOTIFY_MESSAGE": "ready", **env,
                },
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            ready, _, _ = select.select([ear], [], [], 120)
            assert ready, "the replica did not start"
            self.seconds = time.monotonic() - start
            self.cpu_s = load.cpu_seconds([process.pid])[process.pid]
            self.megabytes = load.memory_mb([process.pid])
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def measure_starts(name, rounds, folder):
    base = folder / name
    asked = {"FARERO_ACCELERATE": "onnx"}
    kept = asked | {"FARERO_KEPT_DIR": str(folder / "kept")}
    Replica(base, **kept)
    every = {"Booster": {}, "accelerated, first start": asked, "accelerated, later ones": kept}
    best = {way: [] for way in every}
    for _ in range(rounds):
        for way, env in every.items():
            best[way].append(Replica(base, **env))
    print(f"\nmodel {name}: a replica's start in a fresh Python")
    for way, found in best.items():
        quickest = min(found, key=lambda one: one.cpu_s)
        seconds = min(one.seconds for one in found)
        memory = min(one.megabytes for one in found)
        print(
            f"  {way:<26} {quickest.cpu_s:.2f} s of CPU, {seconds:.2f} s by the clock, {memory:.0f} MB"
        )


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(
        f"xgboost {xgb.__version__}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}"
    )
    with tempfile.TemporaryDirectory() as place:
        os.environ["SAGEMAKER_BASE_DIR"] = place
        for name in "ab":
            measure_rows(name, rounds, Path(place))
            measure_starts(name, min(rounds, 3), Path(place))


if __name__ == "__main__":
    main()
