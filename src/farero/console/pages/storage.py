"""Buckets and objects; an object leaves only as an attachment and is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse
from nicegui import ui

from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, heading, page_at, table, words
from farero.console.pages.asking import attempt, confirm
from farero.console.pages.live import live
from farero.console.units import measured

if TYPE_CHECKING:
    from fastapi import FastAPI

_MOST_SHOWN = 500
_MOST_BYTES = 100_000_000


def register(cloud: Cloud, outer: FastAPI) -> None:
    """Make the pages and the download known."""

    @page_at("/storage")
    async def page(bucket: str = "", prefix: str = "") -> None:  # pyright: ignore[reportUnusedFunction]
        with frame(f"{bucket}/{prefix}" if bucket else "Storage", "/storage") as t:
            if bucket:
                await _objects(cloud, t, bucket, prefix)
            else:
                await _buckets(cloud, t)

    async def download(bucket: str, key: str) -> Response:
        try:
            found = await cloud.do("s3", "get_object", Bucket=bucket, Key=key)
        except UnavailableError:
            return Response("not found", 404, media_type="text/plain")
        name = quote(key.rpartition("/")[2] or "object", safe="")
        headers = {
            "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
            "Content-Length": str(found["ContentLength"]),
            "Cache-Control": "no-store",
        }
        return StreamingResponse(
            found["Body"].iter_chunks(65536), headers=headers, media_type="application/octet-stream"
        )

    outer.add_api_route("/download", download, methods=["GET"], response_model=None)


async def _buckets(cloud: Cloud, t: dict[str, str]) -> None:
    async def read() -> Any:
        return (await cloud.ask("s3", "list_buckets"))["Buckets"]

    def draw(found: list[Any]) -> None:
        with card():
            rows = [
                [
                    (one["Name"], f"/storage?bucket={quote(one['Name'])}"),
                    f"{one['CreationDate']:%Y-%m-%d}",
                ]
                for one in found
            ]
            table([t["bucket"], t["created"]], rows, t["empty"])

    await live(read, draw, 5.0)


async def _objects(cloud: Cloud, t: dict[str, str], bucket: str, prefix: str) -> None:
    _way(t, bucket, prefix)

    async def read() -> Any:
        found = await cloud.ask(
            "s3",
            "list_objects_v2",
            Bucket=bucket,
            Prefix=prefix,
            Delimiter="/",
            MaxKeys=_MOST_SHOWN,
        )
        return found.get("CommonPrefixes", []), found.get("Contents", []), found.get("IsTruncated")

    def draw(found: tuple[list[Any], list[Any], bool]) -> None:
        at = f"bucket={quote(bucket)}"
        rows: list[list[Any]] = [
            [
                (one["Prefix"].removeprefix(prefix), f"/storage?{at}&prefix={quote(one['Prefix'], safe='')}"),
                "", "", "",
            ]
            for one in found[0]
        ]  # fmt: skip
        rows += [
            [
                (
                    one["Key"].removeprefix(prefix) or one["Key"],
                    f"/download?{at}&key={quote(one['Key'], safe='')}",
                ),
                measured(float(one["Size"]), "Bytes"),
                f"{one['LastModified'].astimezone():%Y-%m-%d %H:%M:%S}",
                _deleting(cloud, t, bucket, one["Key"]),
            ]
            for one in found[1]
        ]
        with card():
            table([t["name"], t["size"], t["modified"], ""], rows, t["empty"])
            if found[2]:
                words(t["only_first"].format(count=_MOST_SHOWN)).classes("f-dim")

    await live(read, draw, 5.0)
    _upload(cloud, t, bucket, prefix)


def _way(t: dict[str, str], bucket: str, prefix: str) -> None:
    """Draw links to everything above."""
    with ui.element("nav").classes("f-way") as way:
        way.props["aria-label"] = t["paths"]
        ui.link(t["root"], "/storage")
        at = f"/storage?bucket={quote(bucket, safe='')}"
        ui.link(bucket, at)
        gone = ""
        for part in prefix.split("/")[:-1]:
            gone += f"{part}/"
            ui.link(part or "/", f"{at}&prefix={quote(gone, safe='')}")


def _deleting(cloud: Cloud, t: dict[str, str], bucket: str, key: str) -> Any:
    def ask() -> None:
        confirm(
            t, f"{t['delete']} {key}?", t["delete"],
            lambda: cloud.do("s3", "delete_object", Bucket=bucket, Key=key),
        )  # fmt: skip

    return lambda: button(t["delete"], ask, quiet=True)


def _upload(cloud: Cloud, t: dict[str, str], bucket: str, prefix: str) -> None:
    async def put(event: Any) -> None:
        body = await event.file.read()
        name = prefix + event.file.name.rpartition("/")[2]
        done = await attempt(
            lambda: cloud.do("s3", "put_object", Bucket=bucket, Key=name, Body=body)
        )
        chooser.reset()
        if done is not None:
            ui.notify(t["uploaded"])

    with card():
        heading(t["upload"])
        words(f"s3://{bucket}/{prefix}").classes("f-dim")
        chooser = ui.upload(
            label=t["upload"],
            on_upload=put,
            on_rejected=lambda: ui.notify(t["too_large"], type="negative"),
            auto_upload=True,
            multiple=True,
            max_file_size=_MOST_BYTES,
        )
        chooser.props("flat").classes("f-drop")
