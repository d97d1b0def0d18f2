"""An endpoint whose data drifts, for pictures: hours of captured flats for sale, and a schedule that judged each hour.

The captures of the hours before are made up, and the schedule is told that it began then; baseline, executions and
reports are real.
"""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
import json
import random
import time
import uuid
from typing import TYPE_CHECKING, Any

from farero.monitoring.schedules import KIND
from farero.store import monitoring as rows
from farero.store.engine import Store
from farero.work import items

if TYPE_CHECKING:
    from pathlib import Path

NAMES = ["price", "rooms", "size", "age", "heating", "district"]
DISTRICTS = {"centre": 30, "north": 22, "south": 18, "hill": 12, "station": 10, "lake": 8}
HEATING = {"gas": 60, "district": 25, "oil": 15}
HOURS, ROWS = 16, 1200
#: Hours since which the harbour's new flats are for sale.
SINCE = 6


def flat(draw: random.Random, hours_ago: float) -> list[str]:
    """Return one row; what is recent differs a little, and more and more."""
    recent = max(0.0, 1 - hours_ago / SINCE) if hours_ago >= 0 else 0.0
    rooms = draw.choice([1, 2, 2, 3, 3, 3, 4, 4, 5])
    size = rooms * draw.gauss(24, 3) + draw.gauss(12, 5) + 16 * recent
    age = draw.expovariate(1 / 35)
    district = draw.choices([*DISTRICTS], [*DISTRICTS.values()])[0]
    if draw.random() < 0.06 * recent:
        district = "harbour"
    heating = draw.choices([*HEATING], [*HEATING.values()])[0]
    missing = draw.random() < (0.01 + 0.09 * recent)
    price = 1900 * size - 700 * age + draw.gauss(0, 12000)
    return [
        f"{price:.0f}", str(rooms), f"{size:.1f}", "" if missing else f"{age:.1f}", heating, district,
    ]  # fmt: skip


def training_data(path: Path) -> None:
    """Write what the model was trained on."""
    draw = random.Random(3)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([NAMES, *(flat(draw, -1) for _ in range(8000))])


def captures(s3: Any, bucket: str, endpoint: str, now: dt.datetime) -> None:
    """Put a file of captured requests for each of the hours before."""
    draw = random.Random(4)
    hour = now.replace(minute=0, second=0, microsecond=0)
    for ago in range(1, HOURS + 1):
        start = hour - dt.timedelta(hours=ago)
        lines = [
            _record(draw, ago, start, number) for number in range(ROWS + draw.randrange(-300, 300))
        ]
        key = f"capture/{endpoint}/AllTraffic/{start:%Y/%m/%d/%H}/00-00-001-{uuid.uuid4()}.jsonl"
        s3.put_object(Bucket=bucket, Key=key, Body="".join(lines).encode())


def _record(draw: random.Random, ago: int, start: dt.datetime, number: int) -> str:
    price, *features = flat(draw, ago)
    at = start + dt.timedelta(seconds=number * 3600 // (ROWS + 300))
    body = io.StringIO()
    csv.writer(body, lineterminator="").writerow(features)

    def half(mode: str, data: str) -> dict[str, str]:
        return {"observedContentType": "text/csv", "mode": mode, "data": data, "encoding": "CSV"}

    record = {
        "captureData": {
            "endpointInput": half("INPUT", body.getvalue()), "endpointOutput": half("OUTPUT", price),
        },
        "eventMetadata": {
            "eventId": str(uuid.UUID(int=draw.getrandbits(128))), "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
        },
        "eventVersion": "0",
    }  # fmt: skip
    return json.dumps(record, separators=(",", ":")) + "\n"


def judged(sagemaker: Any, data: Path, schedule: str, now: dt.datetime) -> None:
    """Have a schedule look at the hours before, and wait until it has."""
    began = now.replace(minute=0, second=0, microsecond=0) - dt.timedelta(hours=HOURS - 1)
    store = Store(f"sqlite:///{data / 'state.db'}")
    with store.begin() as db:
        found = rows.get_schedule(db, schedule, lock=True)
        rows.update_schedule(db, dataclasses.replace(found, began_at=began, next_at=began))
        items.put(db, KIND, schedule, due=now)
    store.close()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        listed = sagemaker.list_monitoring_executions(
            MonitoringScheduleName=schedule, MaxResults=100
        )
        states = [
            one["MonitoringExecutionStatus"] for one in listed["MonitoringExecutionSummaries"]
        ]
        if len(states) >= HOURS and not {"Pending", "InProgress"} & {*states}:
            return
        time.sleep(1)
    raise SystemExit(f"the schedule {schedule} did not look at all hours: {states}")
