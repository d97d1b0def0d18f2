"""What one replica's model server costs: CPU per request over its Unix socket, beside the model's own time.

`python benchmarks/model_server.py [SECONDS] [MODELS]`: models `a` (XGBoost, 300 small trees), `b` (XGBoost, 500 trees),
`c` (an ECG network in TorchScript, 2000 x 3 numbers of JSON); `abc` is the default. One caller keeps 1, 16 or 64
requests in flight on one connection, as the gateway does. CPU is the server's process alone, as the kernel counts it;
the model's own time is measured in the same way, in the same run. A busy machine does not change it much.

`python benchmarks/model_server.py parts` measures the steps of a request by themselves.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[1]
IN_FLIGHT = {"a": (1, 16, 64), "b": (1, 16, 64), "c": (1, 16)}
FEATURES = {"a": 4, "b": 20}
FRAME = struct.Struct(">IIH")
TICKS = os.sysconf("SC_CLK_TCK")

#: Trains or builds one model into a folder; prints what a row costs in process, by rows in a call.
BOOSTER = """
import json, sys, time, numpy as np
import xgboost as xgb
name, folder, limit = sys.argv[1], sys.argv[2], float(sys.argv[3])
random = np.random.default_rng(7)
features, rounds, params = {
    "a": (4, 100, {"objective": "multi:softprob", "num_class": 3, "max_depth": 4}),
    "b": (20, 500, {"max_depth": 6}),
}[name]
rows = random.random((3000, features), dtype=np.float32)
labels = (rows[:, 0] * 3).astype(int) if name == "a" else rows @ random.random(features)
booster = xgb.train({**params, "nthread": 1}, xgb.DMatrix(rows, labels), rounds)
booster.save_model(folder + "/model.ubj")
booster.set_param({"nthread": 1})
told = {}
for count in (1, 16, 64):
    batch = rows[:count].copy()
    runs, start = 0, time.process_time()
    while time.process_time() - start < limit:
        booster.predict(xgb.DMatrix(batch, nthread=1), validate_features=False)
        runs += 1
    told[count] = (time.process_time() - start) / runs * 1e6
print(json.dumps(told))
"""
NETWORK = """
import json, sys, time, torch
from torch import nn
folder, limit = sys.argv[2], float(sys.argv[3])
torch.set_num_threads(1)
torch.manual_seed(7)
class Ecg(nn.Module):
    def __init__(self):
        super().__init__()
        widths = (3, 32, 64, 64)
        blocks = [nn.Sequential(nn.Conv1d(i, o, 5, padding=2), nn.BatchNorm1d(o), nn.ReLU(), nn.MaxPool1d(2))
                  for i, o in zip(widths, widths[1:])]
        self.blocks = nn.Sequential(*blocks)
        self.lstm = nn.LSTM(64, 64, batch_first=True)
        self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))
    def forward(self, x):
        steps, _ = self.lstm(self.blocks(x.transpose(1, 2)).transpose(1, 2))
        return torch.sigmoid(self.head(steps[:, -1]))
model = torch.jit.script(Ecg().eval())
model.save(folder + "/model.pt")
told = {}
with torch.inference_mode():
    for count in (1, 4, 16):
        batch = torch.randn(count, 2000, 3)
        model(batch), model(batch)
        runs, start = 0, time.process_time()
        while time.process_time() - start < limit:
            model(batch)
            runs += 1
        told[count] = (time.process_time() - start) / runs * 1e6
print(json.dumps(told))
"""


def main() -> None:
    """Print a table a model."""
    if sys.argv[1:] == ["parts"]:
        parts()
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 4.0
    for name in sys.argv[2] if len(sys.argv) > 2 else "abc":
        measure(name, seconds)


def measure(name: str, seconds: float) -> None:
    """Build one model, serve it, print what a request costs."""
    python = torch_python() if name == "c" else sys.executable
    with tempfile.TemporaryDirectory(prefix="fm-") as folder:
        base = Path(folder)
        (base / "model").mkdir()
        program = base / "make.py"  # TorchScript reads its source
        program.write_text(NETWORK if name == "c" else BOOSTER, encoding="utf-8")
        command = [
            python,
            "-W",
            "ignore",
            str(program),
            name,
            str(base / "model"),
            str(seconds / 4),
        ]
        one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
        alone = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, env=one_thread).stdout
        )
        for count, cost in alone.items():
            print(
                f"{name}: in process, {count:>2} rows a call: {cost:8.0f} us, {cost / int(count):8.1f} a row"
            )
        server = serve(base, python, "pytorch" if name == "c" else "xgboost")
        try:
            for count in IN_FLIGHT[name]:
                requests, cpu, rate = load(server.pid, base / "s", body_of(name), count, seconds)
                print(
                    f"{name}: served, {count:>2} in flight: {cpu / requests * 1e6:8.1f} us of CPU a request, "
                    f"{cpu / requests * 1e6 / alone['1']:5.2f} of one row in process ({rate:,.0f}/s by the clock)",
                    flush=True,
                )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def serve(base: Path, python: str | Path, framework: str) -> subprocess.Popen[bytes]:
    """Start the model server; return it once it is ready."""
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(str(base / "n"))
    extra = {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])),
        "SAGEMAKER_BASE_DIR": str(base), "FARERO_SOCKET": str(base / "s"), "FARERO_FRAMEWORK": framework,
        "FARERO_FRAMEWORK_VERSION": "3.0-5", "FARERO_NOTIFY_SOCKET": str(base / "n"), "FARERO_NOTIFY_MESSAGE": "ready",
    }  # fmt: skip
    command = [str(python), "-m", "farero_container", "serve"]
    with (base / "log").open("wb") as log:
        server = subprocess.Popen(command, env={**os.environ, **extra}, stdout=log, stderr=log)
    if not select.select([ear], [], [], 60)[0]:
        server.kill()
        sys.exit((base / "log").read_text(encoding="utf-8"))
    return server


def load(pid: int, path: Path, body: bytes, count: int, seconds: float) -> tuple[int, float, float]:
    """Keep `count` requests in flight; return how many were answered, the server's CPU seconds, and the rate."""
    head = json.dumps(
        {"path": "/invocations", "headers": {"content-type": "application/json"}}
    ).encode()
    caller = socket.socket(socket.AF_UNIX)
    caller.connect(str(path))
    caller.sendall(b"FRO1")

    def frames(numbers: range) -> bytes:
        prefix = 6 + len(head) + len(body)
        return b"".join(FRAME.pack(prefix, number, len(head)) + head + body for number in numbers)

    sent = answered = 0
    before = began = float("nan")
    warm_until = time.monotonic() + min(1.0, seconds / 4)
    until = warm_until + seconds
    rest = b""
    more = count
    while time.monotonic() < until:
        caller.sendall(frames(range(sent, sent + more)))
        sent += more
        rest, more = take(rest + caller.recv(1 << 18))
        if before != before and time.monotonic() > warm_until:  # noqa: PLR0124 - NaN: not begun
            before, began, answered = cpu_of(pid), time.monotonic(), 0
        answered += more
    spent, lasted = cpu_of(pid) - before, time.monotonic() - began
    caller.close()
    return answered, spent, answered / lasted


def take(data: bytes) -> tuple[bytes, int]:
    """Return what is left after the whole frames in `data`, and how many they were; each must be a 200."""
    at = found = 0
    while len(data) - at >= FRAME.size:
        length, _, head = FRAME.unpack_from(data, at)
        if len(data) - at < 4 + length:
            break
        if (
            b'"status": 200' not in data[at : at + 10 + head]
            and b'"status":200' not in data[at : at + 10 + head]
        ):
            sys.exit(data[at : at + 400].decode(errors="replace"))
        at += 4 + length
        found += 1
    return data[at:], found


def parts() -> None:
    """Print what the steps of a request cost by themselves, in this process."""
    import numpy as np
    import xgboost as xgb

    from farero_container.serve import content, numbers
    from farero_container.serve.frameworks.booster import Direct
    from farero_container.serve.frameworks.xgboost import XGBoostServer

    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-c", BOOSTER, "a", folder, "0.01"],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        server = XGBoostServer(Path(folder), "3.0-5")
        booster = xgb.Booster(model_file=f"{folder}/model.ubj")
    booster.set_param({"nthread": 1})
    headers, body = {"content-type": "application/json"}, body_of("a")
    work = server.read(body, headers)
    row = np.array([[0.1, 0.5, 0.8, 0.2]], dtype=np.float32)
    direct, signal_body = Direct(xgb, booster), body_of("c")
    prediction = direct(row)
    csv = "\n".join(f"{i * 0.1!r},{-i * 0.3!r},{i}" for i in range(30_000)).encode()
    told = {
        "read a row of JSON": lambda: server.read(body, headers),
        "predict 64 requests, each": lambda: server.predict([work] * 64),
        "write an answer": lambda: server.answer(work, prediction),
        "one row: C function": lambda: direct(row),
        "one row: inplace_predict": lambda: booster.inplace_predict(row),
        "one row: DMatrix": lambda: booster.predict(xgb.DMatrix(row, nthread=1)),
        "6,000 numbers of JSON, in C": lambda: numbers.json_array(signal_body),
        "the same, standard library": lambda: np.array(json.loads(signal_body)).astype("f4"),
        "30,000 lines of CSV, in C": lambda: content.decode(csv, "text/csv"),
        "the same, exact reader": lambda: content.csv(content.text(csv)),
    }
    for name, step in told.items():
        cost = least(step) / (64 if "64" in name else 1)
        print(f"{name:>30}: {cost * 1e6:10.1f} us")


def least(step: Callable[[], object]) -> float:
    """Return the least CPU seconds of a call, over seven rounds of 50 ms."""
    rounds: list[float] = []
    for _ in range(7):
        count, start = 0, time.thread_time()
        while time.thread_time() - start < 0.05:
            step()
            count += 1
        rounds.append((time.thread_time() - start) / count)
    return min(rounds)


def body_of(name: str) -> bytes:
    """Return one request's body."""
    if name == "c":
        return json.dumps(
            [
                [
                    [((i * 7919 + j * 104729) % 20011) / 9973.0 - 1.0 for j in range(3)]
                    for i in range(2000)
                ]
            ]
        ).encode()
    row = [round(0.1 + (i * 37 % 97) / 100, 4) for i in range(FEATURES[name])]
    return json.dumps({"inputs": [row]}).encode()


def cpu_of(pid: int) -> float:
    """Return the CPU seconds a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def torch_python() -> str:
    """Return the Python that has PyTorch."""
    command = [sys.executable, str(ROOT / "scripts" / "torch_env.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
