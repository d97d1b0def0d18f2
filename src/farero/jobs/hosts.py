"""Which metrics a job's CPU, memory and disk are: dimension Host, `<job>/algo-1`, in the namespace of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farero.telemetry.resources import Subject

if TYPE_CHECKING:
    from collections.abc import Sequence

#: What names of processes begin with → namespace ("SageMaker AI jobs and endpoint metrics").
NAMESPACES = {"job": "/aws/sagemaker/TrainingJobs", "processing": "/aws/sagemaker/ProcessingJobs"}


def find(names: Sequence[str]) -> dict[str, Subject]:
    """Return the host of each process that is a job's: `<kind>/<job>/<attempt>`."""
    found: dict[str, Subject] = {}
    for name in names:
        kind, _, rest = name.partition("/")
        job, _, attempt = rest.partition("/")
        if attempt and kind in NAMESPACES:
            found[name] = Subject(NAMESPACES[kind], {"Host": f"{job}/algo-1"})
    return found
