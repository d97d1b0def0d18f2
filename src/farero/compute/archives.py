"""Unpack archives from strangers in a process of its own, within farero_container's limits of size and names."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

#: Unpacking is bounded by its own limits long before this.
UNPACK_TIMEOUT_S = 600.0


def unpack(archive: Path, target: Path) -> dict[str, Any]:
    """Unpack an archive in a process of its own and return its report; `cause` is set if it failed."""
    argv = [sys.executable, "-m", "farero_container", "unpack", str(archive), str(target)]
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=UNPACK_TIMEOUT_S, check=False, text=True
        )
    except subprocess.TimeoutExpired:
        return {"cause": "E-TAR-BOMB", "message": f"unpacking took over {UNPACK_TIMEOUT_S:.0f} s"}
    try:
        report: Any = json.loads(done.stdout.strip().rpartition("\n")[2])
    except ValueError:
        report = None
    if isinstance(report, dict):
        return report  # pyright: ignore[reportUnknownVariableType] - JSON, read with get()
    tail = done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}"
    return {"cause": "E-TAR-GZIP", "message": f"the archive could not be unpacked: {tail}"}
