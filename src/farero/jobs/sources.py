"""A look into the archive of a training script, before anything of it runs."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING

from farero.base.errors import Invalid

if TYPE_CHECKING:
    from pathlib import Path

REQUIREMENTS_LIMIT_BYTES = 1024 * 1024


def read_requirements(archive: Path) -> str | None:
    """Return the text of requirements.txt at the top of the archive, or None if there is none.

    Raises Invalid if the file is no tar archive.
    """
    try:
        with tarfile.open(archive, "r:*") as tar:
            for member in tar:
                if member.name.removeprefix("./") == "requirements.txt" and member.isreg():
                    body = tar.extractfile(member)
                    assert body is not None
                    return body.read(REQUIREMENTS_LIMIT_BYTES).decode("utf-8", "replace")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Invalid(
            f"the archive of hyperparameter sagemaker_submit_directory is not a tar.gz file: {error}"
        ) from error
    return None
