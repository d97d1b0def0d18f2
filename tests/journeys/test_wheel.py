"""The built wheel, installed bare: small, complete, and able to start."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
UV = [sys.executable, "-m", "uv"]


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The folder of a virtual environment that holds Farero and what it requires, nothing else."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [*UV, "build", "-q", "--wheel", "-o", str(folder / "dist"), str(ROOT)], check=True
    )
    subprocess.run([*UV, "venv", "-q", "-p", sys.executable, str(folder / "venv")], check=True)
    [wheel] = (folder / "dist").glob("*.whl")
    python = str(folder / "venv" / "bin" / "python")
    subprocess.run([*UV, "pip", "install", "-q", "-p", python, str(wheel)], check=True)
    return folder / "venv"


@pytest.mark.journey
@pytest.mark.network
def test_the_core_takes_at_most_80_megabytes(bare):
    files = [path for path in (bare / "lib").rglob("*") if path.is_file() and path.suffix != ".pyc"]

    assert sum(path.stat().st_size for path in files) <= 80_000_000


@pytest.mark.journey
@pytest.mark.network
def test_a_bare_install_starts_answers_and_stops(bare, tmp_path, platform):
    platform.farero("down")
    env = {**platform.env, "FARERO_DATA_DIR": str(tmp_path / "bare"), "PYTHONPATH": ""}

    def farero(*arguments):
        done = subprocess.run(
            [str(bare / "bin" / "farero"), *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    started, status, stopped = farero("up", "-d"), farero("status"), farero("down")

    assert (started[0], status[0], stopped[0]) == (0, 0, 0), (started, status, stopped)
    assert f"http://127.0.0.1:{platform.port}" in started[1]


@pytest.mark.journey
@pytest.mark.network
def test_the_wheel_holds_all_three_packages_and_their_data(bare):
    site = next((bare / "lib").glob("python*/site-packages"))

    for name in (
        "farero/py.typed",
        "farero/shim/site/sitecustomize.py",
        "farero/cli/data/iris.csv",
        "farero_container/py.typed",
        "farero_monitor/py.typed",
    ):
        assert (site / name).exists(), name
    assert os.access(bare / "bin" / "farero", os.X_OK)
