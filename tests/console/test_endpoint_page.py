"""What the endpoint page makes of logs, captures and addresses, without a browser."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from farero.console.pages import endpoint_figures as figures
from farero.console.pages import endpoint_requests as requests
from farero.console.pages.endpoint import coming, storage_link
from farero.console.pages.endpoint_requests import Captured
from farero.console.texts import EN, ES


def test_errors_are_counted_by_cause_whatever_their_numbers() -> None:
    lines = [
        "Traceback (most recent call last):", "ValueError: expected 4 columns, got 3", "no Error here",
        "ValueError: expected 4 columns, got 5", "[farero] Cause E-IMPORT: No module named 'x'",
        "torch.cuda.OutOfMemoryError: full", "<img src=x>Error: no name",
    ]  # fmt: skip
    events = [{"message": line, "timestamp": 1000 * at} for at, line in enumerate(lines)]
    assert figures.causes(events) == [
        ("ValueError: expected 4 columns, got 5", 2, datetime.fromtimestamp(3, UTC)),
        ("E-IMPORT: No module named 'x'", 1, datetime.fromtimestamp(4, UTC)),
        ("torch.cuda.OutOfMemoryError: full", 1, datetime.fromtimestamp(5, UTC)),
    ]


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.25, "0.2 s"), (59, "59.0 s"), (61, "1 min 1 s"), (7260, "2 h 1 min"), (90000, "1 d 1 h")]
)  # fmt: skip
def test_durations_are_short(seconds: float, shown: str) -> None:
    assert figures.took(timedelta(seconds=seconds)) == shown


def _line(body: str, answer: str | None, encoding: str = "CSV") -> str:
    data = {
        "endpointInput": {"data": body, "encoding": encoding, "observedContentType": "text/csv"}
    }
    if answer is not None:
        data["endpointOutput"] = {"data": answer, "encoding": "CSV"}
    return json.dumps(
        {"captureData": data, "eventMetadata": {"inferenceTime": "2026-05-01T10:00:00Z"}}
    )


def test_a_record_is_read_with_and_without_an_answer() -> None:
    assert requests.read(_line("1,2", "3")).answer == "3"
    assert requests.read(_line("1,2", None)).answer is None
    coded = base64.b64encode(b"1,2").decode()
    assert requests.read(_line(coded, "3", "BASE64")).body == "1,2"
    assert requests.read({}) == Captured("", "", "text/csv", None)


@pytest.mark.parametrize(
    ("text", "state", "found"),
    [("", "", "abc"), ("TWO", "", "b"), ("", "ok", "ab"), ("", "bad", "c"), ("one", "bad", ""), ("yes", "", "a")],
)  # fmt: skip
def test_captures_are_filtered_by_text_and_by_state(text: str, state: str, found: str) -> None:
    held = {
        "a": Captured("", "one", "", "YES"),
        "b": Captured("", "two", "", "no"),
        "c": Captured("", "three", "", None),
    }
    assert requests.matching([*held.values()], text, state) == [held[name] for name in found]


def test_programs_hold_any_body() -> None:
    body = 'it\'s "quoted"\n\\ </script> é'
    curl, python, script = (
        text for _, text in requests.code("http://x", "r", "e", body, "text/csv")
    )
    assert "--data-binary 'it'\"'\"'s" in curl
    compile(python, "snippet", "exec")
    assert json.dumps(body, ensure_ascii=False) in python
    assert json.dumps(body, ensure_ascii=False) in script


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("s3://b/a/model.tar.gz", "/storage?bucket=b&prefix=a%2F"),
        ("s3://b/model.tar.gz", "/storage?bucket=b&prefix="),
        ("s3://b/capture/x", "/storage?bucket=b&prefix=capture%2Fx%2F"),
        ("s3://b", "/storage?bucket=b&prefix="),
        ("javascript:alert(1)", ""),
        ("https://elsewhere", ""),
    ],
)
def test_files_lead_to_storage_and_nothing_leads_elsewhere(uri: str, address: str) -> None:
    assert storage_link(uri) == address


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"Status": "Creating"}, "iris-2 comes; 0% of the requests go to it"),
        ({"Status": "Baking", "StatusMessage": "10% of the requests"}, "iris-2 comes; 10% of the requests go to it"),
    ],
)  # fmt: skip
def test_what_takes_an_endpoints_place_is_said_with_its_share(
    status: dict[str, str], said: str
) -> None:
    pending = {
        "EndpointConfigName": "iris-2",
        "ProductionVariants": [{"VariantName": "AllTraffic", "VariantStatus": [status]}],
    }
    assert coming(EN, {"PendingDeploymentSummary": pending}) == said
    assert "iris-2 está en camino" in coming(ES, {"PendingDeploymentSummary": pending})
    assert coming(EN, {}) == ""
