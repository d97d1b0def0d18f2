"""Buckets and objects; an object leaves only as an attachment and is never shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import StreamingResponse
from nicegui import ui

from farero.console.data import Cloud, UnavailableError
from farero.console.layout import card, frame, table
from farero.console.pages.live import live

if TYPE_CHECKING:
    from fastapi import FastAPI


def register(cloud: Cloud, outer: FastAPI) -> None:
    """Make the pages and the download known."""

    @ui.page("/storage")
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
    async def read() -> Any:
        found = await cloud.ask(
            "s3", "list_objects_v2", Bucket=bucket, Prefix=prefix, Delimiter="/", MaxKeys=500
        )
        return found.get("CommonPrefixes", []), found.get("Contents", [])

    def draw(found: tuple[list[Any], list[Any]]) -> None:
        at = f"bucket={quote(bucket)}"
        rows: list[list[Any]] = [
            [(one["Prefix"], f"/storage?{at}&prefix={quote(one['Prefix'], safe='')}"), "", ""]
            for one in found[0]
        ]
        rows += [
            [
                (one["Key"], f"/download?{at}&key={quote(one['Key'], safe='')}"),
                f"{one['Size']:,}",
                f"{one['LastModified']:%Y-%m-%d %H:%M:%S}",
            ]
            for one in found[1]
        ]
        with card():
            table([t["name"], t["size"], t["modified"]], rows, t["empty"])

    await live(read, draw, 5.0)
