"""What a processing container is told by its environment, and where it leaves its answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from farero_monitor.aws.content import section
from farero_monitor.errors import AnalysisError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class SettingError(AnalysisError):
    """An environment variable is missing or wrong; the text names it."""


def needed(environ: Mapping[str, str], name: str) -> str:
    """Return a variable; raises SettingError if it is not there."""
    if not environ.get(name):
        raise SettingError(f"The environment variable {name} is missing.")
    return environ[name]


def base_of(environ: Mapping[str, str]) -> Path:
    """Return what is /opt/ml on SageMaker."""
    return Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))


def file_of(text: str) -> Path:
    """Return a file; a folder stands for the one file in it."""
    path = Path(text)
    if path.is_dir():
        found = [entry for entry in sorted(path.iterdir()) if entry.is_file()]
        if len(found) == 1:
            return found[0]
    return path


def dataset_format(environ: Mapping[str, str], known: Iterable[str]) -> tuple[str, dict[str, Any]]:
    """Return which of the known formats `dataset_format` names, and its details; raises SettingError."""
    text, known = needed(environ, "dataset_format"), list(known)
    try:
        told = msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise SettingError(f"dataset_format is not a JSON object: {text}") from error
    found = [name for name in told if name in known]
    if len(found) != 1:
        raise SettingError(f"dataset_format names none of {', '.join(known)}: {text}")
    return found[0], section(told, found[0])


def publish(environ: Mapping[str, str], lines: Iterable[dict[str, Any]]) -> None:
    """Leave metrics where the platform takes them from."""
    folder = base_of(environ) / "output" / "metrics" / "cloudwatch"
    folder.mkdir(parents=True, exist_ok=True)
    content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    (folder / "cloudwatch_metrics.jsonl").write_bytes(content)
