"""`farero open`: a link of the console for the owner, another one each time."""

import json
import os
import pty
import re
import subprocess
import sys

import pytest

from farero.compute.local import LocalCompute


def test_open_prints_a_link_that_is_new_each_time(shared_platform):
    first, second = (shared_platform.farero("open", "--print").stdout.strip() for _ in range(2))

    assert re.fullmatch(r"http://127\.0\.0\.1:[0-9]+/login/[\w-]{20,}", first)
    assert first != second


def test_open_tells_the_link_as_json(shared_platform):
    done = shared_platform.farero("--json", "open", "--print")

    assert "/login/" in json.loads(done.stdout)["url"]


def test_open_without_the_console_says_how_to_get_it(shared_platform, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'nicegui' else find(name, *rest)\n"
    )
    shared = shared_platform.env
    paths = f"{tmp_path}:{shared.get('PYTHONPATH', '')}"

    done = subprocess.run(
        [sys.executable, "-m", "farero", "open", "--print"],
        env={**shared, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip

    assert done.returncode == 1
    assert "pip install 'farero[console]'" in done.stderr


@pytest.mark.parametrize("is_terminal", [True, False])
def test_up_in_a_terminal_has_the_console_start_too(stopped_platform, is_terminal):
    ours, theirs = pty.openpty()
    try:
        subprocess.run(
            [sys.executable, "-m", "farero", "up", "-d"],
            env=stopped_platform.env, stdout=theirs if is_terminal else subprocess.DEVNULL, check=True, timeout=300,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    compute = LocalCompute(stopped_platform.data_dir / "run" / "supervisor.sock")

    if is_terminal:
        stopped_platform.wait(lambda: compute.status("console").state == "running")
    else:
        assert compute.status("console").state == "unknown"
