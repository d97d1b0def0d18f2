"""How the programs whose process belongs to the analyzer alone end."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def leave(code: int) -> NoReturn:
    """End this process and let the system clear up: taking the libraries down one by one is a tenth of a short run."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
