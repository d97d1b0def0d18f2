"""Find a Chromium for the tests of the console; on Debian, root may have it installed: `python scripts/browser.py`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find() -> str | None:
    """Return the path of a Chromium on this machine, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def install() -> None:
    """Install Debian's Chromium where that is possible without asking anybody."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    print("installing Chromium for the tests of the console …", flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for words in ("update -qq", "install -y -qq --no-install-recommends chromium"):
        subprocess.run(["apt-get", *words.split()], env=env, capture_output=True, check=False)


def main() -> int:
    """Say which browser the tests will use; having none is no failure, the tests say so themselves."""
    if find() is None:
        install()
    print(f"browser for the console's tests: {find() or 'none; those tests will be skipped'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
