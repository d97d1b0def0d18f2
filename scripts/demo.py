"""`make demo`: Farero from nothing to captured predictions, on real data, in about a minute after installation."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "demo"


def main() -> int:
    """Start a fresh Farero, run examples/flights.py with the SageMaker SDK, stop Farero."""
    python = client_python()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    environ = {
        **os.environ,
        "FARERO_DATA_DIR": str(HOME / "data"),
        "FARERO_PORT": str(free_port()),
        "AWS_SHARED_CREDENTIALS_FILE": str(HOME / "credentials"),
        "AWS_CONFIG_FILE": str(HOME / "config"),
        "PATH": os.pathsep.join([str(Path(python).parent), os.environ["PATH"]]),
    }
    farero = [sys.executable, "-m", "farero"]
    started = time.monotonic()
    print("\n$ farero up -d", flush=True)
    code = subprocess.run([*farero, "up", "-d"], env=environ, check=False).returncode
    if code:
        return code
    try:
        print("\n$ farero run python examples/flights.py", flush=True)
        story = str(ROOT / "examples" / "flights.py")
        code = subprocess.run(
            [*farero, "run", python, story], env=environ, cwd=HOME, check=False
        ).returncode
        print("\n$ farero ls --all", flush=True)
        subprocess.run([*farero, "ls", "--all"], env=environ, check=False)
    finally:
        print("\n$ farero down", flush=True)
        subprocess.run([*farero, "down"], env=environ, check=False)
    if code == 0:
        print(f"\nThe whole story took {time.monotonic() - started:.0f} s. What to try next:")
        print(f'  . {shlex_path(ROOT)}/.venv/bin/activate && farero up -d && eval "$(farero env)"')
        print("  farero try                        # the same on a small data set, in seconds")
        print("  python their_script.py            # your own boto3 or SageMaker SDK code")
    return code


def shlex_path(path: Path) -> str:
    """Write a path for a person, from where they stand."""
    return os.path.relpath(path)


def client_python() -> str:
    """Return the Python of an environment with the SageMaker SDK 2.x, making it on first need."""
    print("looking for the SageMaker SDK (installed on first need) …", flush=True)
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "client_envs.py"), "sdk2"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return done.stdout.split()[-1]


def free_port() -> int:
    """Return 4747, or any free port when somebody has it."""
    for port in (int(os.environ.get("FARERO_PORT", "4747")), 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                print(f"port {port} is taken; the demo uses another one")
                continue
            return probe.getsockname()[1]
    return 0


if __name__ == "__main__":
    sys.exit(main())
