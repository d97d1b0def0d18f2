"""Model files of XGBoost: which ones a folder has, and how they are loaded.

Reading JSON takes XGBoost several times as long as UBJSON. So what was read from JSON is kept as UBJSON beside the
model (`keeping.py`), the same numbers bit for bit, and later starts read that.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import warnings
from typing import TYPE_CHECKING, Any

from farero_container.contract import StartUpError
from farero_container.serve.frameworks import keeping

if TYPE_CHECKING:
    from pathlib import Path

#: Bytes of JSON from which UBJSON is kept: less is read in two milliseconds.
LARGE_JSON = 64 * 1024


def find(folder: Path) -> list[Path]:
    """Return the model files: all regular files, or the first when SAGEMAKER_INFERENCE_ENSEMBLE is false."""
    files = sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith("."))
    named = [p for p in files if p.name in ("xgboost-model", "model.json", "model.ubj", "model.bin", "model.pkl")
             or p.name.startswith("xgboost-model") or p.suffix in (".ubj", ".bst", ".xgb", ".model")]  # fmt: skip
    files = named or [
        p for p in files if p.suffix not in (".txt", ".md", ".csv", ".yaml", ".yml", ".py")
    ]
    if not files:
        raise StartUpError(
            "E-NO-MODEL-FILE",
            "model.tar.gz has no model file; expected one of model.json, model.ubj, xgboost-model",
            fix="farero inspect model.tar.gz shows what is in it.",
        )
    if os.environ.get("SAGEMAKER_INFERENCE_ENSEMBLE", "true").lower() == "false":
        return files[:1]
    return files


def load(xgb: Any, path: Path) -> Any:
    """Return the Booster of a model file, one thread. Raises StartUpError."""
    booster = None
    if path.suffix not in (".json", ".ubj"):
        booster = _unpickle(xgb, path)
    if booster is None:
        place = _place(xgb, path)
        kept = _read_kept(xgb, place)
        booster = _read(xgb, path, place) if kept is None else kept
    booster.set_param({"nthread": 1})
    return booster


def first_line(error: Exception) -> str:
    """Return what XGBoost says of a failure, without where in its sources."""
    lines = [line for line in str(error).splitlines() if line.strip() and "Stack trace" not in line]
    text = lines[0] if lines else type(error).__name__
    return text.rpartition("] ")[2][:200] if text.startswith("[") else text[:200]


def _read(xgb: Any, path: Path, place: Path | None) -> Any:
    """Load a file; keep what was read if there is a place for it."""
    booster = xgb.Booster()
    try:
        with warnings.catch_warnings():
            # guesses JSON or UBJSON without an extension
            warnings.simplefilter("ignore", UserWarning)
            booster.load_model(str(path))
    except Exception as error:
        raise StartUpError(
            "E-MODEL-LOAD",
            f"Unable to load model: {path.name}: {first_line(error)}",
            file=path.name,
            fix="Save it with booster.save_model('xgboost-model') or as model.json / model.ubj.",
        ) from error
    if place is not None:
        keeping.keep(place, bytes(booster.save_raw("ubj")))
    return booster


def _read_kept(xgb: Any, place: Path | None) -> Any:
    """Return the Booster that was kept; None if there is none, or none that can be read."""
    kept = keeping.read(place)
    if kept is None:
        return None
    booster = xgb.Booster()
    with contextlib.suppress(Exception):  # the model's own file is there
        booster.load_model(bytearray(kept))
        return booster
    return None


def _place(xgb: Any, path: Path) -> Path | None:
    """Return where UBJSON of a model file is kept; None for a file that is none the slower for it."""
    with path.open("rb") as file:
        # an object in JSON begins with a name, in UBJSON with the length of one
        is_json = file.read(64).translate(None, b" \t\r\n").startswith(b'{"')
    if not is_json or path.stat().st_size < LARGE_JSON:
        return None
    return keeping.place_of(path, "xgboost-ubj", str(xgb.__version__))


def _unpickle(xgb: Any, path: Path) -> Any:
    with path.open("rb") as file:
        if file.read(1) != b"\x80":
            return None
    print("farero: warning: the model is a pickle; unpickling runs code", flush=True)
    try:
        with path.open("rb") as file:
            found = pickle.load(file)  # noqa: S301 - AWS's own images of 0.90 to 1.2 wrote pickles
    except Exception as error:
        raise StartUpError(
            "E-PICKLE-VERSION",
            f"{path.name} is a pickle of another XGBoost that {xgb.__version__} cannot read: "
            f"{first_line(error)}",
            file=path.name,
            fix="Load it with the XGBoost that wrote it and save it with booster.save_model('xgboost-model').",
        ) from error
    return found.get_booster() if hasattr(found, "get_booster") else found
