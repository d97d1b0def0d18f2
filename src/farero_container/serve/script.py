"""The user's script, where it is and how it is imported; what is wrong with it is told with file and line."""

from __future__ import annotations

import importlib.util
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from farero_container.contract import StartUpError, user_frame

if TYPE_CHECKING:
    from types import ModuleType


def find_script(model_dir: Path) -> Path | None:
    """Return the user's script: SAGEMAKER_PROGRAM, else code/inference.py if it is there.

    Raises StartUpError if SAGEMAKER_PROGRAM names a file that is not there.
    """
    program = os.environ.get("SAGEMAKER_PROGRAM", "")
    submitted = os.environ.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
    folders = [model_dir / "code", model_dir]
    if submitted and "://" not in submitted and submitted != "/opt/ml/model/code":
        folders.insert(0, Path(submitted))
    name = program or "inference.py"
    name = name if name.endswith(".py") else f"{name}.py"
    for folder in folders if program else folders[:-1]:
        if (folder / name).is_file():
            return folder / name
    if program:
        raise StartUpError(
            "E-NO-SCRIPT",
            f"SAGEMAKER_PROGRAM names {name}, which is not in code/ of model.tar.gz",
            fix=f"Put it at code/{name}: farero pack MODEL --code {name}",
        )
    return None


def import_script(script: Path) -> ModuleType:
    """Import the user's script with its folder first on the path."""
    sys.path.insert(0, str(script.parent))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(script.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    )
    spec = importlib.util.spec_from_file_location(script.stem, script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[script.stem] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise StartUpError(
            "E-SYNTAX", error.msg, file=shown(Path(error.filename or script)), line=error.lineno,
            fix="Mend the line; python -m py_compile shows it.",
        ) from error  # fmt: skip
    except ImportError as error:
        raise import_failure(error) from error
    except Exception as error:
        file, line = user_frame(error.__traceback__)
        traceback.print_exc()
        raise StartUpError(
            "E-IMPORT", f"{type(error).__name__}: {error}", file=file or shown(script), line=line,
            fix="The script fails while it is imported.",
        ) from error  # fmt: skip
    return module


def import_failure(error: ImportError) -> StartUpError:
    """Return why a start failed at an import, and what to add to requirements.txt."""
    file, line = user_frame(error.__traceback__)
    module = (error.name or "").partition(".")[0]
    fix = f"Add {module} to code/requirements.txt." if module else ""
    return StartUpError("E-IMPORT", str(error), file=file, line=line, fix=fix)


def shown(script: Path | None) -> str:
    """Return a script's path as its author knows it."""
    return f"code/{script.name}" if script else ""
