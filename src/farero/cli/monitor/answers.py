"""How an endpoint's answers are read, as a baseline leaves it for the runs that follow: a file beside the baseline."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from farero.cli.monitor import kinds
from farero.cli.monitor.places import files_of, read_json
from farero.cli.session import client, guarded

if TYPE_CHECKING:
    from farero.cli.monitor.kinds import Kind
    from farero.cli.monitor.places import Place

#: SageMaker's words for the kinds of problem that `farero monitor quality` takes.
FAMILIES = {
    "regression": "Regression", "binary": "BinaryClassification",
    "multiclass": "MulticlassClassification",
}  # fmt: skip


def put_answers(where: Place, base: str, told: dict[str, str]) -> None:
    """Leave what is known beside a baseline: of `prediction`, `probability`, `threshold`, `positive`."""
    body = json.dumps({name: value for name, value in told.items() if value}).encode()
    key = base + kinds.ANSWERS
    guarded(lambda: client("s3").put_object(Bucket=where.bucket, Key=key, Body=body))


def read_answers(where: Place, base: str, kind: Kind) -> dict[str, str]:
    """Return what a baseline has left; without it the answer's first value is the prediction.

    Of model quality `problem` is among it, in SageMaker's words, from the baseline's own constraints.
    """
    there = {one["Key"] for one in files_of(where.bucket, base)}
    told: dict[str, Any] = {}
    if base + kinds.ANSWERS in there:
        told = read_json(where.bucket, base + kinds.ANSWERS)
    if not told.get("prediction") and not told.get("probability"):
        told["prediction"] = "0"
    if kind is kinds.QUALITY:
        told["problem"] = problem_of(read_json(where.bucket, f"{base}constraints.json"))
    return told


def problem_of(constraints: dict[str, Any]) -> str:
    """Return the kind of problem that constraints of model quality are of, in SageMaker's words."""
    shorts = (short for short in FAMILIES if any(name.startswith(short) for name in constraints))
    return FAMILIES[next(shorts)]
