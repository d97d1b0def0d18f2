"""A training container's folder, and the `train` program run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Box:
    """What stands for /opt/ml."""

    base: Path

    def put(self, channel: str, name: str, body: str | bytes) -> None:
        path = self.base / "input/data" / channel / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.encode() if isinstance(body, str) else body)

    def start(
        self, hyperparameters: dict[str, str], types: dict[str, str | None], **env: str
    ) -> subprocess.Popen[str]:
        config = self.base / "input/config"
        config.mkdir(parents=True, exist_ok=True)
        channels = {name: {"ContentType": kind} if kind else {} for name, kind in types.items()}
        (config / "hyperparameters.json").write_text(json.dumps(hyperparameters))
        (config / "inputdataconfig.json").write_text(json.dumps(channels))
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "farero_container", "train"],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.base), "FARERO_FRAMEWORK": "xgboost", **env},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.base,
        )  # fmt: skip

    def train(
        self, hyperparameters: dict[str, str], types: dict[str, str | None], **env: str
    ) -> tuple[int, str, str]:
        process = self.start(hyperparameters, types, **env)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err

    @property
    def failure(self) -> str:
        return (self.base / "output/failure").read_text()

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.base / "output/failure.json").read_text())


@pytest.fixture
def box(tmp_path: Path) -> Box:
    base = tmp_path / "opt ml"
    base.mkdir()
    return Box(base)
