"""A model that hangs ends its server within the time one request may take, and says where it stood."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import asyncio, threading
from farero_container.serve.watchdog import Watchdog
watchdog = Watchdog(0.2)
import importlib.util
spec = importlib.util.spec_from_file_location("inference", "model/code/inference.py")
inference = importlib.util.module_from_spec(spec)
spec.loader.exec_module(inference)
def model():
    for _ in range(3):
        watchdog.begin()
        inference.predict_fn()
    watchdog.end()
    print("done", flush=True)
async def main():
    watchdog.watch()
    thread = threading.Thread(target=model, daemon=True)
    thread.start()
    await asyncio.to_thread(thread.join)
asyncio.run(main())
"""
HANGS = {
    "asleep": "import time\ndef predict_fn():\n    time.sleep(60)\n",
    "a loop": "def predict_fn():\n    while True: pass\n",
    "holding the lock": "import ctypes\ndef predict_fn():\n    ctypes.PyDLL(None).sleep(60)\n",
}


def run(tmp_path, script, program=PROGRAM):
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(script, encoding="utf-8")
    env = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.mark.parametrize("kind", HANGS)
def test_a_hanging_model_ends_its_server_and_the_log_shows_the_line(tmp_path, kind):
    done = run(tmp_path, HANGS[kind])

    assert done.returncode == 1
    assert 'inference.py", line ' in done.stderr
    assert "in predict_fn" in done.stderr


def test_the_platform_is_told_the_place(tmp_path):
    run(tmp_path, HANGS["asleep"])

    told = json.loads((tmp_path / "output" / "failure.json").read_text())
    assert (told["cause"], told["file"], told["line"]) == ("E-HANG", "code/inference.py", 3)


@pytest.mark.parametrize("kind", HANGS)
def test_a_model_that_hangs_after_a_rest_ends_its_server_too(tmp_path, kind):
    # It answers, rests until nobody looks any more, and hangs at the second request.
    rests = "        while watchdog._is_looking: time.sleep(0.01)\n        watchdog.begin()\n"
    program = PROGRAM.replace("import asyncio", "import asyncio, time").replace(
        "        watchdog.begin()\n", "        watchdog.end()\n" + rests
    )
    script = "calls = []\n" + HANGS[kind].replace(
        "def predict_fn():\n",
        "def predict_fn():\n    calls.append(1)\n    if len(calls) < 2: return\n",
    )

    done = run(tmp_path, script, program)

    assert done.returncode == 1
    assert 'inference.py", line ' in done.stderr


def test_at_rest_nobody_looks(tmp_path):
    program = """
import asyncio, os, time
from farero_container.serve.watchdog import LOOK_EVERY_S, Watchdog
async def main():
    watchdog = Watchdog(5)
    watchdog.watch()
    watchdog.begin()
    watchdog.end()
    began = time.monotonic()
    while watchdog._is_looking:
        await asyncio.sleep(0.05)
    print(len(os.listdir("/proc/self/task")), time.monotonic() - began >= LOOK_EVERY_S / 2)
asyncio.run(main())
"""
    done = run(tmp_path, "", program)

    assert (done.returncode, done.stdout) == (0, "1 True\n")


def test_a_model_that_goes_on_lives(tmp_path):
    # Three requests that together take longer than one may.
    done = run(tmp_path, "import time\ndef predict_fn():\n    time.sleep(0.8)\n")

    assert (done.returncode, done.stdout) == (0, "done\n")
