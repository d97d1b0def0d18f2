"""A look into the archive of a training script, before anything of it runs."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from farero.base.errors import Invalid
from farero.compute import archives

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def unpacked_requirements(archive: Path) -> Generator[Path | None]:
    """Give requirements.txt at the top of the archive, with all files it may name beside it; None without one.

    The files go when the block ends. Blocks. Raises Invalid for what is no archive, or one beyond all measure.
    """
    folder = archive.with_name(archive.name + ".files")
    shutil.rmtree(folder, ignore_errors=True)
    try:
        report = archives.unpack(archive, folder)
        if report.get("cause"):
            why = f"{report['cause']}: {report.get('message', '')}"
            raise Invalid(
                f"the archive of hyperparameter sagemaker_submit_directory is not fit: {why}"
            )
        path = folder / "requirements.txt"
        yield path if path.is_file() else None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
