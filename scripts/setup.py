"""Make the project's virtual environment: `python scripts/setup.py .venv`. Needs Python 3.11+ and nothing else."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Create the environment and install Farero, its frameworks for the demo, and the tools."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what says so to older ones
        print(f"Farero needs Python 3.11 or newer; this is {sys.version.split()[0]}.")
        print("Name another one: make PYTHON=python3.12 …")
        return 1
    target = Path(sys.argv[1])
    if not (target / "bin" / "python").exists():
        print(f"making {target} …", flush=True)
        make_environment(target)
    python = str(target / "bin" / "python")
    run(python, "-m", "pip", "install", "-q", "--upgrade", "uv>=0.5")
    print("installing Farero and its tools …", flush=True)
    install = (python, "-m", "uv", "pip", "install", "-q", "--python", python)
    if sys.dont_write_bytecode:
        # nobody would keep it later, and each process would compile everything anew
        run(*install, "--compile-bytecode", "-e", ".", "--group", "dev")
        subprocess.run([python, "-m", "compileall", "-q", "src"], cwd=ROOT, check=False)
        return 0
    return run(*install, "-e", ".", "--group", "dev")


def make_environment(target: Path) -> None:
    """Create a virtual environment with pip, also where Debian left ensurepip out."""
    try:
        venv.EnvBuilder(with_pip=True, clear=True).create(target)
    except (subprocess.CalledProcessError, SystemExit):
        venv.EnvBuilder(with_pip=False, clear=True).create(target)
        site = next((target / "lib").glob("python*/site-packages"))
        run(sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "pip")


def run(*argv: str) -> int:
    """Run a command in the repository's root; end with its code if it fails."""
    code = subprocess.run(argv, cwd=ROOT, check=False).returncode
    if code:
        sys.exit(code)
    return code


if __name__ == "__main__":
    sys.exit(main())
