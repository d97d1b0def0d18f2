"""`farero open`: a link of the console for the owner, another one each time."""

import json
import re
import subprocess
import sys


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
        env={**shared, "PYTHONPATH": paths}, capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip

    assert done.returncode == 1
    assert "pip install 'farero[console]'" in done.stderr
