"""`farero capture`: look at captured requests and answers as they come."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from farero.base.clock import SystemClock
from farero.cli.output import options, say
from farero.cli.session import admin, guarded

app = typer.Typer(no_args_is_help=True, help="Look at captured requests and answers.")
POLL_S = 0.3


@app.command()
def tail(
    endpoint: str,
    *,
    lines: Annotated[int, typer.Option("-n", help="Records to begin with.")] = 10,
    variant: Annotated[str, typer.Option(help="Only those that this variant answered.")] = "",
    follow: Annotated[bool, typer.Option(help="Go on as records come; --no-follow stops.")] = True,
) -> None:
    """Print captured records, newest last; each within a second of its reply."""
    position = ""
    shown = 0
    while True:
        query = f"endpoint={endpoint}&after={position}&last={lines}&variant={quote(variant)}"
        page: dict[str, Any] = guarded(lambda query=query: admin("GET", "capture", query))
        for line in page["records"]:
            sys.stdout.write(line + "\n" if options.as_json else summary(json.loads(line)) + "\n")
            shown += 1
        position = page["position"]
        sys.stdout.flush()
        if not follow:
            break
        SystemClock().sleep(POLL_S)
    if not shown:
        say(page["note"])


def summary(record: dict[str, Any]) -> str:
    """Put one captured record on one line."""
    data = record["captureData"]
    meta = record["eventMetadata"]
    sides = [_side(data.get("endpointInput")), _side(data.get("endpointOutput"))]
    inference_id = f"  id {meta['inferenceId']}" if "inferenceId" in meta else ""
    return f"{meta['inferenceTime']}  {sides[0]}  ->  {sides[1]}{inference_id}"


def _side(half: dict[str, Any] | None) -> str:
    if half is None:
        return "(not captured)"
    text = half["data"].replace("\n", "⏎")
    return text if len(text) <= 60 else text[:57] + "…"
