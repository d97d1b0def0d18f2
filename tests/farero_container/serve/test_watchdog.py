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


def run(tmp_path, script):
    code = tmp_path / "model" / "code"
    code.mkdir(parents=True)
    (code / "inference.py").write_text(script, encoding="utf-8")
    env = {**os.environ, "SAGEMAKER_BASE_DIR": str(tmp_path)}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM],
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


def test_a_model_that_goes_on_lives(tmp_path):
    # Three requests that together take longer than one may.
    done = run(tmp_path, "import time\ndef predict_fn():\n    time.sleep(0.8)\n")

    assert (done.returncode, done.stdout) == (0, "done\n")
