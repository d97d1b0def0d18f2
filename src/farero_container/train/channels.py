"""What a training container is given: hyperparameters, channels and hosts in /opt/ml/input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError, base_dir

if TYPE_CHECKING:
    from pathlib import Path


def input_dir() -> Path:
    """Return the folder of `config` and `data`."""
    return base_dir() / "input"


def hyperparameters() -> dict[str, str]:
    """Return the hyperparameters, as strings."""
    return {str(name): str(value) for name, value in _read("hyperparameters.json").items()}


def input_data_config() -> dict[str, dict[str, Any]]:
    """Return what is known of each channel."""
    return _read("inputdataconfig.json")


def resource_config() -> dict[str, Any]:
    """Return the hosts."""
    return _read("resourceconfig.json")


def folders() -> dict[str, tuple[Path, str | None]]:
    """Return folder and ContentType of each channel; without a configuration, every folder is a channel."""
    known: dict[str, dict[str, Any]] = input_data_config()
    data = input_dir() / "data"
    if not known and data.is_dir():
        known = {path.name: dict[str, Any]() for path in data.iterdir() if path.is_dir()}
    return {
        name: (data / name, config.get("ContentType")) for name, config in sorted(known.items())
    }


def _read(name: str) -> dict[str, Any]:
    path = input_dir() / "config" / name
    try:
        value: object = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise StartUpError(
            "E-CLIENT", f"input/config/{name} is not JSON: {error}", file=name
        ) from error
    return value if isinstance(value, dict) else {}  # pyright: ignore[reportUnknownVariableType] - a JSON object
