"""What `/_farero/status` and `/_farero/capture` tell, and `/_farero/reset` does: plain data for the CLI and tests."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any

import msgspec

from farero.base.errors import Invalid
from farero.endpoints.spooled import read_after
from farero.records.notify import DeliveryState
from farero.store import deliveries as delivery_rows
from farero.store import endpoint_changes
from farero.store import endpoints as endpoint_rows
from farero.store.reset import empty

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from farero.base.config import Settings
    from farero.compute.base import Compute
    from farero.endpoints.capture import CaptureSpool
    from farero.endpoints.router import RoutingStamp
    from farero.objects.local import LocalObjects
    from farero.records.notify import Delivery
    from farero.store.engine import Store

    class Parts(Protocol):
        """What of the app these pages read."""

        settings: Settings
        store: Store
        telemetry: Store
        compute: Compute
        objects: LocalObjects
        stamp: RoutingStamp

    Page = Callable[[dict[str, str]], Any]

#: Seconds within which a login link must be used.
LOGIN_S = 60
_MOST_CHANGES = 50


def pages(parts: Parts, spool: CaptureSpool) -> dict[tuple[str, str], Page]:
    """Return the admin pages by method and name."""
    found: dict[tuple[str, str], Page] = {
        ("GET", "status"): lambda _: status(parts, spool),
        ("GET", "capture"): lambda query: captured(parts, query),
        ("GET", "history"): lambda query: history(parts, query),
        ("GET", "deliveries"): lambda query: delivered(parts, query),
        ("POST", "console-login"): lambda _: console_login(parts),
    }
    if parts.settings.ephemeral:
        found["POST", "reset"] = lambda _: reset(parts, spool)
    return found


def status(parts: Parts, spool: CaptureSpool) -> dict[str, Any]:
    """Describe endpoints, isolation, disk, and what deserves a look."""
    with parts.store.read() as db:
        found = [endpoint_rows.find(db, name) for name in endpoint_rows.names(db)]
    endpoints = [endpoint for endpoint in found if endpoint is not None]
    counts = spool.stats()
    notes: list[str] = []
    rows: list[dict[str, str]] = []
    for endpoint in endpoints:
        fleet = endpoint.current or endpoint.pending
        capture = fleet.capture if fleet else None
        percent = capture.get("InitialSamplingPercentage") if capture else None
        if percent is not None and percent < 100:
            notes.append(
                f"{endpoint.name} captures {percent} % of its requests; the SDK's default is 20"
            )
        rows.append(
            {
                "name": endpoint.name,
                "status": endpoint.status.value,
                "variants": ", ".join(v.name for v in fleet.variants) if fleet else "",
                "capture": f"{percent} %" if percent is not None else "off",
            }
        )
    if counts["dropped"]:
        notes.append(
            f"{counts['dropped']} captured records could not be written: {counts['last_error']}"
        )
    return {
        "endpoints": rows,
        "isolation": parts.settings.isolation,
        "disk_free_gb": shutil.disk_usage(parts.settings.data_dir).free / 1e9,
        "capture": counts,
        "notes": notes,
    }


def console_login(parts: Parts) -> dict[str, str]:
    """Make a link that logs one browser in, once, within a minute; kept is only its token's hash."""
    settings = parts.settings
    if not settings.console_port:
        raise Invalid("the console is turned off: set FARERO_CONSOLE_PORT")
    folder = settings.run_dir / "console-logins"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    now = time.time()
    for old in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):
            if old.stat().st_mtime < now - 2 * LOGIN_S:
                old.unlink()
    token = secrets.token_urlsafe(32)
    path = folder / hashlib.sha256(token.encode()).hexdigest()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(str(now + LOGIN_S))
    return {"url": f"http://{settings.host}:{settings.console_port}/login/{token}"}


def reset(parts: Parts, spool: CaptureSpool) -> dict[str, Any]:
    """Stop every endpoint and job and forget everything but who may call; for test suites between two tests."""
    processes = [*parts.compute.list("endpoint/"), *parts.compute.list("job/")]
    for process in processes:
        parts.compute.stop(process.name, grace_s=0)
        parts.compute.forget(process.name)
    spool.close()
    for store in {parts.store, parts.telemetry}:
        with store.begin() as db:
            empty(db)
    parts.stamp.touch()
    shutil.rmtree(parts.settings.spool_dir / "capture", ignore_errors=True)
    parts.objects.sweep()
    parts.objects.ensure_bucket(f"sagemaker-{parts.settings.region}-{parts.settings.account}")
    return {"stopped": len(processes)}


def captured(parts: Parts, query: dict[str, str]) -> dict[str, Any]:
    """Return captured records of an endpoint or one variant, after a position. Raises Invalid without an endpoint."""
    endpoint = query.get("endpoint", "")
    if not endpoint:
        raise Invalid("name an endpoint: ?endpoint=NAME")
    last = query.get("last", "10")
    if not last.isascii() or not last.isdigit() or len(last) > 6:
        raise Invalid("last is a number of records: ?last=10")
    after = query.get("after", "")
    if after and not _is_position(after):
        raise Invalid("after is the position of an earlier answer")
    found, position = read_after(
        parts.store, parts.objects, parts.settings.spool_dir, endpoint, after, int(last), query.get("variant", ""),
    )  # fmt: skip
    return {
        "records": [one.line for one in found],
        "variants": [one.variant for one in found],
        "position": position,
        "note": "" if found else f"no captured records of {endpoint} yet",
    }


def history(parts: Parts, query: dict[str, str]) -> dict[str, Any]:
    """Return what became of one endpoint, newest first. Raises Invalid without an endpoint."""
    endpoint = query.get("endpoint", "")
    if not endpoint:
        raise Invalid("name an endpoint: ?endpoint=NAME")
    with parts.store.read() as db:
        found = endpoint_changes.newest(db, endpoint, _MOST_CHANGES)
    return {"changes": found}


def delivered(parts: Parts, query: dict[str, str]) -> dict[str, Any]:
    """Return counts of deliveries and the newest of them, of one state if it is named."""
    name = query.get("state", "")
    if name and name not in {state.value for state in DeliveryState}:
        raise Invalid("state is pending, delivered or dead: ?state=dead")
    last = query.get("last", "100")
    if not last.isascii() or not last.isdigit() or not 0 < int(last) <= 1000:
        raise Invalid("last is a number from 1 to 1000: ?last=100")
    with parts.store.read() as db:
        state = DeliveryState(name) if name else None
        found = delivery_rows.latest(db, state=state, limit=int(last))
        counts = delivery_rows.counts(db)
    return {"counts": counts, "deliveries": [_told(one) for one in found]}


def _told(one: Delivery) -> dict[str, Any]:
    return {
        "id": one.id,
        "state": one.state.value,
        "topic": one.note.topic_arn,
        "protocol": one.protocol,
        "endpoint": one.endpoint,
        "queue": one.queue,
        "type": one.note.type.value,
        "subject": one.note.subject,
        "message_id": one.note.message_id,
        "attempts": one.attempts,
        "reason": one.reason,
        "created_at": one.created_at,
        "due": one.due,
    }


def _is_position(text: str) -> bool:
    try:
        return all(count >= 0 for count in msgspec.json.decode(text, type=dict[str, int]).values())
    except msgspec.DecodeError:
        return False
