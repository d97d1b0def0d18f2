"""One endpoint: state, traffic, a form to try it, captured requests, code to call it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from nicegui import ui

from farero.console.data import Cloud, UnavailableError
from farero.console.layout import button, card, frame, heading, pill, table, words
from farero.console.pages.live import live

if TYPE_CHECKING:
    from collections.abc import Callable


def register(cloud: Cloud) -> None:
    """Make the page known."""

    @ui.page("/endpoints/{name}")
    async def page(name: str) -> None:  # pyright: ignore[reportUnusedFunction] - kept by NiceGUI
        with frame(name, "/") as t:

            async def read() -> Any:
                return await cloud.ask("sagemaker", "describe_endpoint", EndpointName=name)

            await live(read, lambda found: _state(cloud, t, found))
            with ui.element("div").classes("f-grid"):
                again = _try_it(cloud, t, name)
                _snippets(cloud, t, name)

            async def captured() -> Any:
                return await cloud.page("capture", f"endpoint={quote(name)}&last=20")

            await live(captured, lambda found: _captured(t, found["records"], again))


def _state(cloud: Cloud, t: dict[str, str], found: dict[str, Any]) -> None:
    variants = found.get("ProductionVariants", [])
    weights: dict[str, ui.number] = {}
    with card():
        pill(found["EndpointStatus"])
        if found.get("FailureReason"):
            words(found["FailureReason"]).classes("f-pre f-bad")
        words(f"{t['created']} {found['CreationTime']:%Y-%m-%d %H:%M:%S}").classes("f-dim")
        words(f"{t['last']} {found['LastModifiedTime']:%Y-%m-%d %H:%M:%S}").classes("f-dim")

        def weight(variant: dict[str, Any]) -> Callable[[], None]:
            def draw() -> None:
                weights[variant["VariantName"]] = (
                    ui.number(value=variant.get("DesiredWeight", 1), min=0, step=0.1)
                    .props(f'dense aria-label="{t["weight"]}"').style("max-width:7rem")
                )  # fmt: skip

            return draw

        if variants:
            table(
                [t["variant"], t["instances"], t["weight"]],
                [
                    [v["VariantName"], v.get("CurrentInstanceCount", ""), weight(v)]
                    for v in variants
                ],
                t["empty"],
            )
            button(
                t["apply"], lambda: _confirm(cloud, t, found["EndpointName"], weights), quiet=True
            )


def _confirm(cloud: Cloud, t: dict[str, str], name: str, weights: dict[str, ui.number]) -> None:
    async def apply() -> None:
        dialog.close()
        wanted = [
            {"VariantName": variant, "DesiredWeight": float(field.value or 0)}
            for variant, field in weights.items()
        ]
        try:
            await cloud.do(
                "sagemaker", "update_endpoint_weights_and_capacities",
                EndpointName=name, DesiredWeightsAndCapacities=wanted,
            )  # fmt: skip
        except UnavailableError as error:
            ui.notify(str(error), type="negative")

    with ui.dialog() as dialog, card():
        heading(t["confirm_weights"])
        for variant, field in weights.items():
            words(f"{variant}: {field.value}")
        button(t["apply"], apply)
        button(t["cancel"], dialog.close, quiet=True)
    dialog.open()


def _try_it(cloud: Cloud, t: dict[str, str], name: str) -> Callable[[str, str], None]:
    with card():
        heading(t["try"])
        kind = ui.input(t["content_type"], value="text/csv").style("width:100%")
        body = ui.textarea(t["body"]).props("autogrow input-class=f-pre").style("width:100%")

        async def send() -> None:
            try:
                answer = await cloud.do(
                    "sagemaker-runtime", "invoke_endpoint", EndpointName=name,
                    ContentType=kind.value, Body=(body.value or "").encode(),
                )  # fmt: skip
                text = (await _read(answer["Body"]))[:100_000].decode("utf-8", "replace")
            except UnavailableError as error:
                text = str(error)
            result.set_text(text)

        button(t["send"], send)
        result = words("").classes("f-pre").props(f'role=status aria-label="{t["result"]}"')

    def fill(content: str, content_type: str) -> None:
        body.value, kind.value = content, content_type

    return fill


async def _read(body: Any) -> bytes:
    from nicegui import run

    return await run.io_bound(body.read) or b""


def _snippets(cloud: Cloud, t: dict[str, str], name: str) -> None:
    with card():
        heading(t["code"])
        for title, text in _code(cloud, name):
            words(title).classes("f-dim")
            words(text).classes("f-pre")


def _code(cloud: Cloud, name: str) -> list[tuple[str, str]]:
    url, region = cloud.settings.url, cloud.settings.region
    curl = (
        f'curl --aws-sigv4 aws:amz:{region}:sagemaker --user "$KEY:$SECRET" \\\n'
        f"  -H 'Content-Type: text/csv' -d '1,2,3,4' \\\n  {url}/endpoints/{name}/invocations"
    )
    python = (
        f'import boto3\nboto3.client("sagemaker-runtime").invoke_endpoint(\n    EndpointName="{name}",'
        ' ContentType="text/csv", Body=b"1,2,3,4"\n)["Body"].read()'
    )
    script = (
        "import { SageMakerRuntimeClient, InvokeEndpointCommand }\n"
        '  from "@aws-sdk/client-sagemaker-runtime";\n'
        f'await new SageMakerRuntimeClient({{ endpoint: "{url}" }}).send(\n'
        f'  new InvokeEndpointCommand({{ EndpointName: "{name}",\n'
        '    ContentType: "text/csv", Body: "1,2,3,4" }));'
    )
    return [("curl", curl), ("Python", python), ("JavaScript", script)]


def _captured(t: dict[str, str], records: list[Any], again: Callable[[str, str], None]) -> None:
    rows: list[list[Any]] = []
    for line in reversed(records):
        record = json.loads(line) if isinstance(line, str) else line
        data = record.get("captureData", {})
        sent, got = data.get("endpointInput", {}), data.get("endpointOutput", {})
        content = str(sent.get("data", ""))
        kind = str(sent.get("observedContentType", "text/csv"))

        def replay(content: str = content, kind: str = kind) -> None:
            button(t["replay"], lambda: again(content, kind), quiet=True)

        when = record.get("eventMetadata", {}).get("inferenceTime", "")
        rows.append([when, content[:200], str(got.get("data", ""))[:200], replay])
    with card():
        heading(t["captured"])
        table([t["time"], t["request"], t["result"], ""], rows, t["empty"])
