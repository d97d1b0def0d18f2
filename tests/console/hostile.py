"""The real console over a platform in which every text is hostile; for test_browser.py alone."""

from __future__ import annotations

import socket
import sys
from datetime import UTC, datetime
from typing import Any

import uvicorn
from test_browser import PAYLOADS as BAD

from farero.base.config import read_settings
from farero.console.data import Cloud
from farero.console.waking import gate

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def call(_self: Cloud, _service: str, operation: str, _params: dict[str, Any]) -> Any:
    """Answer as boto3 would."""
    times = {"CreationTime": NOW, "LastModifiedTime": NOW, "StartTime": NOW, "CreationDate": NOW}
    rows = [{**times, "EndpointName": b, "TrainingJobName": b, "Name": b, "Key": b, "AlarmName": b,
             "UserName": b, "Arn": b, "EndpointStatus": b, "TrainingJobStatus": b, "StateValue": b,
             "StateReason": b, "Size": 1, "LastModified": NOW, "CreateDate": NOW, "logGroupName": b,
             "message": b, "timestamp": 0, "VariantName": b, "Status": b, "StatusMessage": b} for b in BAD]  # fmt: skip
    names = ("Endpoints", "TrainingJobSummaries", "Buckets", "Contents", "MetricAlarms", "Users",
             "logGroups", "events", "ProductionVariants", "SecondaryStatusTransitions")  # fmt: skip
    one = rows[0] if operation.startswith("describe_") else {}
    return {**one, **dict.fromkeys(names, rows), "FailureReason": "\n".join(BAD)}


def page(_self: Cloud, name: str, _query: str) -> Any:
    """Answer as the platform's own pages do."""
    if name == "capture":
        return {"records": [{"captureData": {"endpointInput": {"data": b}}} for b in BAD]}
    return {"endpoints": [], "notes": BAD, "isolation": BAD[0], "disk_free_gb": 1.0, "capture": {}}


Cloud._call, Cloud._page = call, page  # type: ignore[method-assign]
listening = socket.socket(fileno=int(sys.argv[1]))
app = gate(read_settings(), listening.getsockname()[1])
uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])
