"""What a person sees after a mistake: four parts, the right exit code, and never a traceback."""

import os
import signal
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (["run", "no-such-command"], "E-COMMAND", 2),
        (["run", "nope.py"], "E-FILE", 2),
        (["--aws", "--profile", "nope", "ls"], "E-CLIENT", 1),
        (["logs", "x", "--since", "soon"], "E-SINCE", 2),
        (["up", "-d", "--port", "99999"], "E-SETTING", 2),
        (["show", "nope"], "ValidationException", 1),
        (["invoke", "nope", "-d", "1"], "ValidationError", 1),
    ],
)
def test_a_mistake_is_told_in_parts(shared_platform, arguments, code, status):
    done = shared_platform.farero(*arguments, check=False)

    assert done.returncode == status, done.stderr
    assert done.stderr.startswith(f"{code}  ")
    assert "\n  fix:   " in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b[" not in done.stderr + done.stdout
    assert len(done.stderr.splitlines()) <= 6


def test_unset_leaves_the_users_own_pythonpath(shared_platform):
    env = shared_platform.client_env
    env["PYTHONPATH"] += os.pathsep + "/mine"

    done = subprocess.run(
        [sys.executable, "-m", "farero", "env", "--unset"],
        env=env, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip

    assert done.stdout.splitlines()[-1] == "export PYTHONPATH=/mine"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_foreground_start_takes_everything_with_it(platform, number):
    platform.farero("down")
    process = subprocess.Popen(
        [sys.executable, "-m", "farero", "up"], env=platform.env, stdout=subprocess.PIPE, text=True
    )
    with process:
        for line in process.stdout:
            if "farero try" in line:
                break
        process.send_signal(number)
        code = process.wait(300)

    assert code == (130 if number == signal.SIGINT else 0)
    assert not platform.control.answers()
