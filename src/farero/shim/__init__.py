"""The start-up hook that makes unmodified SageMaker SDK code reach Farero; see `site/sitecustomize.py`."""

from __future__ import annotations

from pathlib import Path


def shim_dir() -> Path:
    """Return the folder for PYTHONPATH."""
    return Path(__file__).parent / "site"
