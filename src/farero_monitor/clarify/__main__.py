"""`python -m farero_monitor.clarify`: bias and attributions as SageMaker Clarify's container; see the package."""

from __future__ import annotations

import logging
import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal
import sys
from typing import TYPE_CHECKING

from farero_monitor.clarify import job
from farero_monitor.clarify.answers import AnswerError
from farero_monitor.clarify.aws import AwsError
from farero_monitor.clarify.config import ConfigError
from farero_monitor.clarify.models import ModelError
from farero_monitor.readers.files import NoDataError

if TYPE_CHECKING:
    from types import FrameType


def main() -> int:
    """Do what the environment says; 0 if it could be done."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    # a job that is stopped still removes the endpoint it made
    signal.signal(signal.SIGTERM, _stopped)
    try:
        message, code = job.run(os.environ), 0
    except (ConfigError, NoDataError, ModelError, AnswerError, AwsError) as error:
        message, code = str(error), 255
    except OSError as error:
        message, code = f"{error.filename or ''}: {error.strerror or error}", 255
    print(message, file=sys.stderr if code else sys.stdout)
    target = job.base(os.environ) / "output" / "message"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(message[:1024], encoding="utf-8")
    return code


def _stopped(number: int, frame: FrameType | None) -> None:
    _ = frame
    raise SystemExit(128 + number)


if __name__ == "__main__":
    raise SystemExit(main())
