"""Capture lines as the gateway and AWS write them."""

from __future__ import annotations

import json

import pytest


def _line(
    sent=None,
    got=None,
    *,
    at="2026-01-05T10:00:00Z",
    event="e-1",
    kinds=("CSV", "CSV"),
    types=None,
    inference=None,
):
    """Return a record; sent and got are payload texts, None leaves the half out."""
    types = types or tuple("text/csv" if kind == "CSV" else "application/json" for kind in kinds)
    data = {}
    for key, mode, payload, kind, content in (
        ("endpointInput", "INPUT", sent, kinds[0], types[0]),
        ("endpointOutput", "OUTPUT", got, kinds[1], types[1]),
    ):
        if payload is not None:
            data[key] = {
                "observedContentType": content,
                "mode": mode,
                "data": payload,
                "encoding": kind,
            }
    metadata = {"eventId": event}
    if inference:
        metadata["inferenceId"] = inference
    metadata["inferenceTime"] = at
    record = {"captureData": data, "eventMetadata": metadata, "eventVersion": "0"}
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


@pytest.fixture(scope="session")
def line():
    """Return the function that writes a capture line."""
    return _line
