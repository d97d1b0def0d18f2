"""Judge where files lie in a model archive, and say where they should. Pure: works on names.

Facts: "Deploy models: model.tar.gz structure" of the SageMaker SDK's documentation: the model at the root, inference.py
and requirements.txt in code/.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CODE = "code"
_XGBOOST = (".ubj", ".json", ".bst", ".xgb", ".model", ".bin")
_SKLEARN = (".joblib", ".pkl", ".pickle", ".sav")
_PYTORCH = (".pt", ".pth")
_OTHER = (".onnx", ".h5", ".keras", ".safetensors", ".pb", ".txt", ".cbm", ".lgb")
_SIDE_FILES = frozenset(
    {"config.json", "metadata.json", "package.json", "tokenizer.json", "manifest.json"}
)
JUNK = frozenset(
    {
        ".git",
        "__pycache__",
        ".ipynb_checkpoints",
        ".venv",
        "venv",
        ".DS_Store",
        "__MACOSX",
        ".pytest_cache",
    }
)
#: Bytes of a file in which to look for the name of the package that wrote it.
HEAD_BYTES = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one rule says."""

    #: `ok`, `warning` or `error`.
    level: str
    rule: str
    message: str
    fix: str = ""


def framework_of(name: str, head: bytes = b"") -> str | None:
    """Return the framework whose model a file is, by its name and beginning; None if it is no known model."""
    path = PurePosixPath(name)
    if path.name.startswith("xgboost-model"):
        return "xgboost"
    if path.suffix == ".json" and (path.name in _SIDE_FILES or (head and b'"learner"' not in head)):
        return None
    if path.suffix in _XGBOOST:
        return "pytorch" if path.name == "pytorch_model.bin" else "xgboost"
    if path.suffix in _SKLEARN:
        return "xgboost" if b"xgboost" in head else "sklearn"
    return "pytorch" if path.suffix in _PYTORCH else None


def framework_of_all(files: Iterable[tuple[str, bytes]]) -> str | None:
    """Return the framework of an archive, None if nothing tells it. Files at the root decide before others."""
    found = {
        name: kind
        for name, head in files
        if not _is_code(name) and (kind := framework_of(name, head))
    }
    return found[min(found, key=lambda name: (name.count("/"), name))] if found else None


def moves(names: Sequence[str]) -> dict[str, str]:
    """Return the new name of each file that lies wrong; a step that would put two files in one place is left out."""
    places = list(names)
    while (better := _step(places)) is not None:
        places = better
    return {name: place for name, place in zip(names, places, strict=True) if name != place}


def _step(places: list[str]) -> list[str] | None:
    """Return the places after the first step that improves them, None if there is none."""
    wrap, deep = wrapping_folder(places), _misplaced_code(places)
    steps: list[list[str]] = []
    if wrap:
        steps.append([place.removeprefix(f"{wrap}/") for place in places])
    if deep:
        steps.append([f"{CODE}/{place.removeprefix(deep + '/')}" if place.startswith(f"{deep}/") else place
                      for place in places])  # fmt: skip
    is_code_at_root = "inference.py" in places and f"{CODE}/inference.py" not in places
    # inference.py goes last: as long as it lies there, what lies beside it is code.
    for place in sorted(places, key="inference.py".__eq__):
        is_code = place == "requirements.txt" or (is_code_at_root and place.endswith(".py"))
        if is_code and "/" not in place:
            steps.append([f"{CODE}/{other}" if other == place else other for other in places])
    return next((step for step in steps if _fits(step)), None)


def _fits(places: list[str]) -> bool:
    """Say whether all places can exist together: no two the same, no file where another needs a folder."""
    taken = set(places)
    above = {"/".join(parts[:depth]) for place in taken for parts in [place.split("/")]
             for depth in range(1, len(parts))}  # fmt: skip
    return len(taken) == len(places) and not taken & above


def wrapping_folder(names: Sequence[str]) -> str:
    """Return the folder that holds everything, "" if there is none or it belongs there."""
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or any("/" not in name for name in names):
        return ""
    top = tops.pop()
    is_tensorflow = top.isdigit() and f"{top}/saved_model.pb" in names
    return "" if top == CODE or is_tensorflow else top


def judge(names: Sequence[str], heads: dict[str, bytes] | None = None) -> list[Verdict]:
    """Return a verdict for each rule of the layout; the archive is fit to serve if none is an error."""
    return [
        _model(names, heads or {}),
        _wrapping(names),
        *_code(names),
        *_requirements(names),
        *_junk(names),
    ]


def _wrapping(names: Sequence[str]) -> Verdict:
    wrap = wrapping_folder(names)
    if not wrap:
        return Verdict(
            level="ok", rule="no wrapping folder", message="the files lie at the archive's root"
        )
    return Verdict(level="error", rule="no wrapping folder",
                   message=f"everything lies in {wrap}/, expected at the archive's root",
                   fix=f"tar -czf model.tar.gz -C {wrap} .")  # fmt: skip


def _model(names: Sequence[str], heads: dict[str, bytes]) -> Verdict:
    rule = "a model file"
    others = [
        name
        for name in names
        if not _is_code(name) and not name.endswith((".py", "requirements.txt"))
    ]
    if not others:
        return Verdict(level="error", rule=rule,
                       message="there is no model file; expected one of model.json, model.ubj, xgboost-model, "
                       "model.joblib, model.pt", fix="Add the saved model beside code/.")  # fmt: skip
    known = [name for name in others if framework_of(name, heads.get(name, b""))]
    has_handler = any(PurePosixPath(name).name == "inference.py" for name in names)
    torch = [name for name in known if name.endswith(_PYTORCH)]
    if len(torch) > 1 and not has_handler:
        return Verdict(level="error", rule=rule,
                       message=f"exactly one .pth or .pt file is required for PyTorch models: {', '.join(torch[:5])}",
                       fix="Keep one, or load them in model_fn of code/inference.py.")  # fmt: skip
    if known:
        return Verdict(level="ok", rule=rule, message=", ".join(known[:5]))
    shown = ", ".join(others[:5])
    if has_handler or any(name.endswith(_OTHER) for name in others):
        return Verdict(
            level="ok", rule=rule, message=f"{shown}: model_fn of code/inference.py must load it"
        )
    return Verdict(level="warning", rule=rule, message=f"no known model file among {shown}",
                   fix="Define model_fn(model_dir) in code/inference.py.")  # fmt: skip


def _code(names: Sequence[str]) -> list[Verdict]:
    rule = "code/inference.py"
    if rule in names:
        return [Verdict(level="ok", rule=rule, message="found")]
    deep = _misplaced_code(names)
    if deep:
        return [Verdict(level="error", rule=rule, message=f"inference.py found at {deep}/, expected code/",
                        fix="Move it: farero pack --fix model.tar.gz")]  # fmt: skip
    if any(
        name == "inference.py" or (name.endswith("/inference.py") and name.count("/") == 1)
        for name in names
    ):
        return [Verdict(level="error", rule=rule, message="inference.py found beside the model, expected code/",
                        fix="Move it: farero pack --fix model.tar.gz")]  # fmt: skip
    return []


def _requirements(names: Sequence[str]) -> list[Verdict]:
    rule = "code/requirements.txt"
    if rule in names:
        if any(_is_code(name) and name.endswith(".py") for name in names):
            return [Verdict(level="ok", rule=rule, message="found")]
        return [Verdict(level="warning", rule=rule, message="requirements.txt without any code in code/",
                        fix="Add code/inference.py, or remove requirements.txt.")]  # fmt: skip
    found = next((name for name in names if PurePosixPath(name).name == "requirements.txt"), None)
    if found is None:
        return []
    return [Verdict(level="error", rule=rule, message=f"{found} would not be installed, expected {rule}",
                    fix="Move it: farero pack --fix model.tar.gz")]  # fmt: skip


def _junk(names: Sequence[str]) -> list[Verdict]:
    junk = sorted({part for name in names for part in name.split("/") if part in JUNK})
    if not junk:
        return []
    return [Verdict(level="warning", rule="nothing needless", message=f"{', '.join(junk)} need not be packed",
                    fix="farero pack leaves them out.")]  # fmt: skip


def _misplaced_code(names: Sequence[str]) -> str:
    """Return the folder `…/code` that has inference.py but does not lie at the root."""
    if f"{CODE}/inference.py" in names:
        return ""
    return next((name.removesuffix("/inference.py") for name in names
                 if name.endswith(f"/{CODE}/inference.py")), "")  # fmt: skip


def _is_code(name: str) -> bool:
    return name.startswith(f"{CODE}/")
